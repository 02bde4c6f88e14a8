// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestRemembered: what was derived counts at the versions it was derived from, and at no
// others.
func TestRemembered(t *testing.T) {
	m, asked := NewMemory(2), 0
	owner := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "data", Name: name} }
	for _, step := range []struct {
		reason, owner, versions string
		fails                   bool
		asks                    bool
	}{
		{reason: "nothing is known yet", owner: "a", versions: "u/1", asks: true},
		{reason: "it is as it was", owner: "a", versions: "u/1"},
		{reason: "somebody changed it", owner: "a", versions: "u/2", asks: true},
		{reason: "what was before is forgotten", owner: "a", versions: "u/1", asks: true},
		{reason: "an error is not kept", owner: "a", versions: "u/3", fails: true, asks: true},
		{reason: "it is tried again", owner: "a", versions: "u/3", asks: true},
		{reason: "what the cache does not show is read", owner: "b", versions: "", asks: true},
		{reason: "and read again", owner: "b", versions: "", asks: true},
		{reason: "beyond the limit all is forgotten", owner: "c", versions: "u/1", asks: true},
		{reason: "that was forgotten", owner: "a", versions: "u/3", asks: true},
	} {
		before := asked
		_, err := Remembered(m, owner(step.owner), "name", step.versions, func() (int, error) {
			asked++
			if step.fails {
				return 0, errors.New("boom")
			}
			return asked, nil
		})
		if (err != nil) != step.fails || (asked > before) != step.asks {
			t.Errorf("%s: asked %t, want %t; error %v", step.reason, asked > before, step.asks, err)
		}
	}
	if _, known := Recall[string](m, owner("a"), "name", "u/3"); known {
		t.Error("what is of another type was returned")
	}
	m.Forget(owner("a"))
	if _, known := Recall[int](m, owner("a"), "name", "u/3"); known {
		t.Error("what was forgotten was returned")
	}
}

// TestConfigMaps: a ConfigMap is read once for each version of it.
func TestConfigMaps(t *testing.T) {
	reads := 0
	c := interceptor.NewClient(fake.NewFakeClient(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			if _, whole := into.(*corev1.ConfigMap); whole {
				reads++
			}
			return c.Get(ctx, key, into, options...)
		},
	})
	maps := NewConfigMaps(c, c)
	look := func(reason, want string, wantReads int) {
		t.Helper()
		reads = 0
		found, err := maps.Get(t.Context(), "data", "rules")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if found != nil {
			got = found.Data["key"]
		}
		if got != want || reads != wantReads {
			t.Errorf("%s: got %q after %d reads, want %q after %d", reason, got, reads, want, wantReads)
		}
	}
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: "rules"}, Data: map[string]string{"key": "a"}}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	look("there is none", "", 1)
	do(c.Create(t.Context(), configMap))
	look("it is read", "a", 1)
	look("it is known", "a", 0)
	configMap.Data["key"] = "b"
	do(c.Update(t.Context(), configMap))
	look("it changed", "b", 1)
	large := string(make([]byte, maxConfigMapBytes))
	configMap.Data["large"] = large
	do(c.Update(t.Context(), configMap))
	look("it is large", "b", 1)
	look("it is read again", "b", 1)
	do(c.Delete(t.Context(), configMap))
	look("it is gone", "", 1)
}
