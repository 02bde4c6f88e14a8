// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/proxy/snapshot"
)

// BeatOnly says whether all that happened to a Secret between two versions is a
// heartbeat: nothing to look at anew. Whoever else changes anything of it, under
// whatever name, changes what fields some manager owns, or when; and in the heartbeats'
// own name, to which somebody may have given other fields before, nothing else passes
// than what a heartbeat has. Who writes a false heartbeat is passed over: proxies refuse
// it, and the next takes its place.
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
			if b.Manager != heartbeatManager || b.Operation != metav1.ManagedFieldsOperationApply || !ofHeartbeat(b.FieldsV1) {
				return false
			}
			beat = true
		}
	}
	return beat
}

// ofHeartbeat says whether fields are those that a heartbeat has, and no others.
func ofHeartbeat(fields *metav1.FieldsV1) bool {
	if fields == nil {
		return false
	}
	var owned map[string]map[string]any
	if json.Unmarshal(fields.GetRawBytes(), &owned) != nil {
		return false
	}
	for name, below := range owned {
		switch name {
		case "f:type":
		case "f:data":
			for key := range below {
				if key != "f:"+snapshot.KeyHeartbeat && key != "f:"+snapshot.KeyHeartbeatSignature {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

func sameFields(a, b *metav1.FieldsV1) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.GetRawBytes(), b.GetRawBytes())
}
