// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sinksecret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

// reader holds Secrets of one namespace and counts who asks.
type reader struct {
	client.Reader
	secrets map[string]corev1.Secret
	asked   []string
	err     error
}

func (r *reader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	r.asked = append(r.asked, key.String())
	if r.err != nil {
		return r.err
	}
	secret, ok := r.secrets[key.Name]
	if !ok {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	secret.DeepCopyInto(into.(*corev1.Secret))
	return nil
}

func sink(name string, kind v1alpha1.LogSinkType, secret string) v1alpha1.LogSink {
	s := v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.LogSinkSpec{Type: kind}}
	if secret != "" {
		s.Spec.Secret = &v1alpha1.SinkSecretReference{Name: secret}
	}
	return s
}

// everything is a Secret with every key there is, and more.
func everything(t corev1.SecretType) corev1.Secret {
	data := map[string][]byte{"empty": nil}
	for _, key := range []string{
		"accessKeyID", "secretAccessKey", "sessionToken", "username", "password", "headers", "signingKey", "previousSigningKey", "tls.crt", "tls.key",
		"next.key", "unknown",
	} {
		data[key] = []byte("canary")
	}
	return corev1.Secret{Type: t, Data: data}
}

// TestCopy: a type takes the keys that it uses, of a Secret that is for sinks. checklist 41 and 47.
func TestCopy(t *testing.T) {
	clearText := func(s v1alpha1.LogSink) v1alpha1.LogSink {
		s.Spec.TLS = &v1alpha1.SinkTLS{Mode: v1alpha1.TLSDisabled}
		return s
	}
	sasl := func(s v1alpha1.LogSink) v1alpha1.LogSink {
		s.Spec.Kafka = &v1alpha1.KafkaSink{SASL: v1alpha1.KafkaSASLSCRAMSHA512}
		return s
	}
	tests := map[string]struct {
		reason string
		sink   v1alpha1.LogSink
		secret corev1.SecretType
		want   []string
	}{
		"S3":          {"It signs requests.", sink("a", v1alpha1.LogSinkS3, "x"), v1alpha1.SecretTypeSinkCredential, []string{"a_accessKeyID", "a_secretAccessKey", "a_sessionToken", "a_tls.crt", "a_tls.key"}},
		"OTLP":        {"It has headers.", sink("a", v1alpha1.LogSinkOTLP, "x"), corev1.SecretTypeOpaque, []string{"a_headers", "a_tls.crt", "a_tls.key"}},
		"Syslog":      {"It has a client certificate.", sink("a", v1alpha1.LogSinkSyslog, "x"), corev1.SecretTypeOpaque, []string{"a_tls.crt", "a_tls.key"}},
		"Kafka":       {"Without SASL it has a client certificate.", sink("a", v1alpha1.LogSinkKafka, "x"), corev1.SecretTypeOpaque, []string{"a_tls.crt", "a_tls.key"}},
		"KafkaSASL":   {"It has a password.", sasl(sink("a", v1alpha1.LogSinkKafka, "x")), corev1.SecretTypeOpaque, []string{"a_password", "a_tls.crt", "a_tls.key", "a_username"}},
		"Webhook":     {"It signs and has headers.", sink("a", v1alpha1.LogSinkWebhook, "x"), corev1.SecretTypeOpaque, []string{"a_headers", "a_previousSigningKey", "a_signingKey", "a_tls.crt", "a_tls.key"}},
		"Clear":       {"No token is sent in clear text.", clearText(sink("a", v1alpha1.LogSinkWebhook, "x")), corev1.SecretTypeOpaque, []string{"a_previousSigningKey", "a_signingKey"}},
		"Stdout":      {"It has nothing to prove.", sink("a", v1alpha1.LogSinkStdout, "x"), corev1.SecretTypeOpaque, nil},
		"NoSecret":    {"None is named.", sink("a", v1alpha1.LogSinkOTLP, ""), corev1.SecretTypeOpaque, nil},
		"WrongType":   {"A Secret for something else is not copied.", sink("a", v1alpha1.LogSinkOTLP, "x"), corev1.SecretTypeServiceAccountToken, nil},
		"Certificate": {"Nor is one of a server.", sink("a", v1alpha1.LogSinkOTLP, "x"), corev1.SecretTypeTLS, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := &reader{secrets: map[string]corev1.Secret{"x": everything(tc.secret)}}
			secrets, err := Read(t.Context(), r, "doorward-system", []v1alpha1.LogSink{tc.sink})
			if err != nil {
				t.Fatal(err)
			}
			data := map[string][]byte{}
			secrets.Copy(&tc.sink, data)
			want := map[string][]byte{}
			for _, key := range tc.want {
				want[key] = []byte("canary")
			}
			if diff := cmp.Diff(want, data); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRead: only what a sink names is read, once, and never the manager's own.
func TestRead(t *testing.T) {
	r := &reader{secrets: map[string]corev1.Secret{"x": everything(corev1.SecretTypeOpaque), "doorward-ca": everything(corev1.SecretTypeOpaque)}}
	secrets, err := Read(t.Context(), r, "doorward-system", []v1alpha1.LogSink{
		sink("a", v1alpha1.LogSinkS3, "x"), sink("b", v1alpha1.LogSinkWebhook, "x"), sink("c", v1alpha1.LogSinkS3, "missing"),
		sink("d", v1alpha1.LogSinkSyslog, "doorward-ca"), sink("e", v1alpha1.LogSinkStdout, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"doorward-system/x", "doorward-system/missing"}, r.asked); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := map[string]compile.SinkSecret{"x": {Type: corev1.SecretTypeOpaque, Keys: []string{
		"accessKeyID", "headers", "next.key", "password", "previousSigningKey", "secretAccessKey", "sessionToken", "signingKey", "tls.crt", "tls.key", "unknown", "username",
	}}}
	if diff := cmp.Diff(want, secrets.Known()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if text := fmt.Sprintf(format, secrets); strings.Contains(text, "canary") || strings.Contains(text, "99 97") {
			t.Errorf("checklist 47: %s prints %s", format, text)
		}
	}
	r.err = errors.New("forbidden")
	if _, err := Read(t.Context(), r, "doorward-system", []v1alpha1.LogSink{sink("a", v1alpha1.LogSinkS3, "x")}); !errors.Is(err, r.err) {
		t.Errorf("what cannot be read is no missing Secret: %v", err)
	}
}
