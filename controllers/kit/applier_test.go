// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// TestApplierTakesNothingOver is checklist 53: a Connection that is called so that its
// objects have the names of somebody else's, such as the manager's own ServiceAccount,
// does not get these.
func TestApplierTakesNothingOver(t *testing.T) {
	object := func(uid types.UID, name string) *corev1.ServiceAccount {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "doorward-manager"}}
		if uid != "" {
			Owned(account, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: name, UID: uid}}, "Connection", "doorward.dev/v1alpha1")
		}
		account.Namespace = "data"
		return account
	}
	orphan := object("u-0", "manager")
	orphan.OwnerReferences = nil
	for name, tc := range map[string]struct {
		reason string
		live   client.Object
		fails  bool
	}{
		"Nothing": {"it is made", nil, false},
		"Own":     {"it is changed", object("u-1", "manager"), false},
		"Orphan":  {"what a former Connection of the name left is taken again", orphan, false},
		"Theirs":  {"nobody's Connection made it", object("", ""), true},
		"Other":   {"another Connection's", object("u-2", "other"), true},
	} {
		t.Run(name, func(t *testing.T) {
			builder := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme)
			if tc.live != nil {
				builder = builder.WithObjects(tc.live)
			}
			c := builder.Build()
			if err := NewApplier(c, c).Apply(t.Context(), object("u-1", "manager")); (err != nil) != tc.fails {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			var live corev1.ServiceAccount
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "data", Name: "doorward-manager"}, &live); err != nil {
				t.Fatal(err)
			}
			if owner := metav1.GetControllerOf(&live); (owner == nil || owner.UID != "u-1") != tc.fails {
				t.Errorf("%s: its owner is %+v", tc.reason, owner)
			}
		})
	}
}
