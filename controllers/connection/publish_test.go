// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestTurns: what is done about one Connection is done in turn, and nothing is left of
// those that nobody is at.
func TestTurns(t *testing.T) {
	turns, at := newTurns(), map[string]*atomic.Int32{"a": {}, "b": {}}
	var group sync.WaitGroup
	for i := range 200 {
		name := []string{"a", "b"}[i%2]
		group.Go(func() {
			defer turns.take(types.NamespacedName{Name: name})()
			if at[name].Add(1) != 1 {
				t.Errorf("two at %s at once", name)
			}
			at[name].Add(-1)
		})
	}
	group.Wait()
	if len(turns.all) != 0 {
		t.Errorf("%d turns are left", len(turns.all))
	}
}

// TestEventsOfOtherNamespaces: an event of a namespace that caches hold nothing of
// concerns nobody, and is no error.
func TestEventsOfOtherNamespaces(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	at := func(namespace string) *v1alpha1.Connection {
		return &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db"}}
	}
	managed := []string{"data", "more"}
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(at("data"), at("more")).Build(), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			in := (&client.ListOptions{}).ApplyOptions(options).Namespace
			if in != "" && in != managed[0] && in != managed[1] { // as the cache of several namespaces does
				return errors.New("unable to get: " + in + " because of unknown namespace for the cache")
			}
			return c.List(ctx, list, options...)
		},
	})
	all := []types.NamespacedName{{Namespace: "data", Name: "db"}, {Namespace: "more", Name: "db"}}
	for name, tc := range map[string]struct {
		reason     string
		namespaces []string
		of         string
		want       []types.NamespacedName
	}{
		"Managed": {"those of the namespace", managed, "data", all[:1]},
		"Other":   {"a namespace that is not the manager's", managed, "other", nil},
		"Own":     {"the operator's own", managed, "doorward-system", nil},
		"All":     {"whatever is about all", managed, "", all},
		"Every":   {"a manager of the whole cluster", nil, "data", all[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			var logged []string
			ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{}))
			r := New(Options{Client: c, Namespace: "doorward-system", Namespaces: tc.namespaces})
			var got []types.NamespacedName
			if tc.of == "" {
				for _, request := range r.all(ctx, at("data")) {
					got = append(got, request.NamespacedName)
				}
			} else {
				for _, request := range r.inNamespace(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tc.of}}) {
					got = append(got, request.NamespacedName)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || len(logged) > 0 {
				t.Errorf("%s (-want +got):\n%s\nlogged: %q", tc.reason, diff, logged)
			}
		})
	}
}
