// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BeatOnly says whether all that happened to a Secret between two versions is a
// heartbeat: nothing to look at anew. Whoever else changes anything of it, under
// whatever name, changes what fields some manager owns, or when.
func BeatOnly(before, after metav1.Object) bool {
	was, is := before.GetManagedFields(), after.GetManagedFields()
	if len(was) != len(is) || before.GetUID() != after.GetUID() || after.GetDeletionTimestamp() != nil {
		return false
	}
	beat := false
	for i := range is {
		a, b := &was[i], &is[i]
		if a.Manager != b.Manager || a.Operation != b.Operation || a.Subresource != b.Subresource || !sameFields(a.FieldsV1, b.FieldsV1) {
			return false
		}
		if !a.Time.Equal(b.Time) {
			if b.Manager != heartbeatManager || b.Operation != metav1.ManagedFieldsOperationApply {
				return false
			}
			beat = true
		}
	}
	return beat
}

func sameFields(a, b *metav1.FieldsV1) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.GetRawBytes(), b.GetRawBytes())
}
