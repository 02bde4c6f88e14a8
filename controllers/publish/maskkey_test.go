// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const operator = "doorward-system"

var errBoom = errors.New("boom")

func secretOf(data []byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: MaskKeySecretName, Namespace: operator},
		Data:       map[string][]byte{maskSecret: data},
	}
}

// TestMaskKeysAreKept: the secret is made once, and what is derived from it is
// the same for the same Connection, for ever.
func TestMaskKeysAreKept(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	first, err := LoadMaskKeys(t.Context(), c, operator)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadMaskKeys(t.Context(), c, operator)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := first.For("uid-a")
	b, errB := again.For("uid-a")
	other, errOther := first.For("uid-b")
	if err := errors.Join(errA, errB, errOther); err != nil {
		t.Fatal(err)
	}
	if a.IsZero() || !a.Equal(b) {
		t.Error("the key of one Connection changed")
	}
	if a.Equal(other) || a.Equal(first.secret) {
		t.Error("two Connections have one key")
	}
	if key, err := first.For(""); err == nil || !key.IsZero() {
		t.Error("a key for no Connection")
	}
	if text := fmt.Sprintf("%v %+v %#v %x", first, *first, first, first); text != strings.TrimSpace(strings.Repeat("[redacted] ", 4)) {
		t.Errorf("checklist 49: it prints %s", text)
	}
}

// TestMaskKeyIsHKDF: the derivation is that of RFC 5869 with SHA-256, no salt and
// the Connection's UID as info, done here step by step.
func TestMaskKeyIsHKDF(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	keys, err := LoadMaskKeys(t.Context(), fake.NewClientBuilder().WithObjects(secretOf(secret)).Build(), operator)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key, data []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(data)
		return h.Sum(nil)
	}
	want := mac(mac(make([]byte, sha256.Size), secret), append([]byte("doorward.dev/mask/v1\nuid-a"), 1))
	got, err := keys.For("uid-a")
	if err != nil {
		t.Fatal(err)
	}
	if key := got.Bytes(); string(key[:]) != string(want) {
		t.Error("the derivation changed: masked values would not be what they were")
	}
}

func TestLoadMaskKeysFails(t *testing.T) {
	cases := map[string]struct {
		reason string
		client client.Client
		text   string
	}{
		"Short":   {reason: "a damaged secret is not replaced", client: fake.NewClientBuilder().WithObjects(secretOf([]byte("short"))).Build(), text: MaskKeySecretName},
		"Missing": {reason: "nor is an empty one", client: fake.NewClientBuilder().WithObjects(secretOf(nil)).Build(), text: MaskKeySecretName},
		"Away": {reason: "nothing is made where nothing can be read", client: fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return errBoom
			},
		}).Build(), text: "boom"},
		"Forbidden": {reason: "a secret that cannot be kept is not used", client: fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
			Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return errBoom },
		}).Build(), text: "boom"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys, err := LoadMaskKeys(t.Context(), tc.client, operator)
			if err == nil || keys != nil || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "short") {
				t.Errorf("%s: %v, %v, want an error with %q", tc.reason, keys, err, tc.text)
			}
		})
	}
}

// TestLoadMaskKeysAtOnce: of two managers that start at once, one makes the
// secret and both have it.
func TestLoadMaskKeysAtOnce(t *testing.T) {
	theirs := secretOf([]byte("0123456789abcdef0123456789abcdef"))
	c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := c.Create(ctx, theirs.DeepCopy()); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
	}).Build()
	keys, err := LoadMaskKeys(t.Context(), c, operator)
	if err != nil {
		t.Fatal(err)
	}
	if secret := keys.secret.Bytes(); string(secret[:]) != string(theirs.Data[maskSecret]) {
		t.Error("this manager works with a secret that nobody keeps")
	}
}
