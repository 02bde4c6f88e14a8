// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestRequests(t *testing.T) {
	object := func(namespace, name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	request := func(namespace, name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
	}
	c := fake.NewClientBuilder().WithObjects(object("a", "x"), object("a", "y"), object("b", "x")).Build()
	named := func(m *corev1.ConfigMap) bool { return m.Name == "x" }
	for name, tc := range map[string]struct {
		reason  string
		wanted  func(*corev1.ConfigMap) bool
		options []client.ListOption
		want    []reconcile.Request
	}{
		"Wanted":    {"those that are wanted", named, nil, []reconcile.Request{request("a", "x"), request("b", "x")}},
		"Namespace": {"of one namespace", named, []client.ListOption{client.InNamespace("b")}, []reconcile.Request{request("b", "x")}},
		"All":       {"every one", All[*corev1.ConfigMap], []client.ListOption{client.InNamespace("a")}, []reconcile.Request{request("a", "x"), request("a", "y")}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Requests(t.Context(), c, &corev1.ConfigMapList{}, tc.wanted, tc.options...)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
	if got := Requests(t.Context(), failing{}, &corev1.ConfigMapList{}, named); got != nil {
		t.Errorf("where nothing can be listed: %v", got)
	}
}

type failing struct{ client.Reader }

func (failing) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("no list")
}
