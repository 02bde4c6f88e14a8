// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBeatOnly(t *testing.T) {
	start := metav1.NewTime(time.Unix(1800000000, 0))
	later := metav1.NewTime(start.Add(30 * time.Second))
	entry := func(manager string, at metav1.Time, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const snapshot, beat = `{"f:data":{"f:snapshot":{}}}`, `{"f:data":{"f:heartbeat":{}}}`
	before := &metav1.ObjectMeta{UID: "u", ManagedFields: []metav1.ManagedFieldsEntry{entry("doorward", start, snapshot), entry(heartbeatManager, start, beat)}}
	for name, tc := range map[string]struct {
		after []metav1.ManagedFieldsEntry
		want  bool
	}{
		"Beat":     {[]metav1.ManagedFieldsEntry{entry("doorward", start, snapshot), entry(heartbeatManager, later, beat)}, true},
		"Snapshot": {[]metav1.ManagedFieldsEntry{entry("doorward", later, snapshot), entry(heartbeatManager, start, beat)}, false},
		"Both":     {[]metav1.ManagedFieldsEntry{entry("doorward", later, snapshot), entry(heartbeatManager, later, beat)}, false},
		"Disguise": {[]metav1.ManagedFieldsEntry{entry("doorward", start, snapshot), entry(heartbeatManager, later, `{"f:data":{"f:heartbeat":{},"f:snapshot":{}}}`)}, false},
		"Stranger": {[]metav1.ManagedFieldsEntry{entry("doorward", start, snapshot), entry(heartbeatManager, later, beat), entry("kubectl", later, snapshot)}, false},
		"Nothing":  {before.ManagedFields, false},
		"Stripped": {nil, false},
	} {
		if got := BeatOnly(before, &metav1.ObjectMeta{UID: "u", ManagedFields: tc.after}); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// TestBeatOnlyCrafted: who first gives the heartbeats' manager the
// snapshot's fields, which changes no data, and then applies another snapshot in its
// name changes times only, and is noticed all the same.
func TestBeatOnlyCrafted(t *testing.T) {
	const own = `{"f:data":{"f:heartbeat":{},"f:heartbeat.sig":{}},"f:type":{}}`
	for fields, want := range map[string]bool{
		own:                             true,
		`{"f:data":{"f:heartbeat":{}}}`: true,
		`{"f:data":{"f:heartbeat":{},"f:heartbeat.sig":{},"f:snapshot":{}},"f:type":{}}`: false,
		`{"f:data":{"f:snapshot":{}}}`:                                       false,
		`{"f:data":{"f:heartbeat":{},"f:snapshot.sig":{}}}`:                  false,
		`{"f:data":{".":{},"f:heartbeat":{}}}`:                               false, // all of the data
		`{"f:data":{"f:heartbeat":{}},"f:metadata":{"f:labels":{"f:a":{}}}}`: false,
		`{"f:data":{"f:heartbeat":{}},"f:immutable":{}}`:                     false,
		`{"f:data":7}`: false,
		`not JSON`:     false,
	} {
		entries := func(at int64) *metav1.ObjectMeta {
			main, beat := metav1.NewTime(time.Unix(1800000000, 0)), metav1.NewTime(time.Unix(at, 0))
			return &metav1.ObjectMeta{UID: "u", ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "doorward", Operation: metav1.ManagedFieldsOperationApply, Time: &main, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{}}}`)},
				{Manager: heartbeatManager, Operation: metav1.ManagedFieldsOperationApply, Time: &beat, FieldsV1: metav1.NewFieldsV1(fields)},
			}}
		}
		if got := BeatOnly(entries(1800000001), entries(1800000031)); got != want {
			t.Errorf("%s: passed over: %t, want %t", fields, got, want)
		}
	}
}
