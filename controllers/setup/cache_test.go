// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestCachesDropManagedFields: checklist 38, of what users make the caches hold nothing that
// nobody asks them for.
func TestCachesDropManagedFields(t *testing.T) {
	for _, namespaces := range [][]string{nil, {"shop"}} {
		object := &v1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Name: "r", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}}
		var transform toolscache.TransformFunc
		for kind, by := range cacheOptions("doorward-system", namespaces, logr.Discard()).ByObject {
			if _, is := kind.(*v1alpha1.ApprovalRequest); is {
				transform = by.Transform
			}
		}
		if transform == nil {
			t.Fatal("they hold all of it")
		}
		kept, err := transform(object)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := kept.(*v1alpha1.ApprovalRequest); !ok || r.Name != "r" || len(r.ManagedFields) != 0 {
			t.Errorf("kept %+v", kept)
		}
	}
}
