// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/mask/detect"
	"github.com/doorward/doorward/proxy/policy"
)

// TestDetectorsAgree: a policy can name every detector there is, and no other.
func TestDetectorsAgree(t *testing.T) {
	var known []string
	for _, d := range detect.Detectors() {
		known = append(known, string(d))
	}
	slices.Sort(known)
	named := policy.Detectors()
	slices.Sort(named)
	if diff := cmp.Diff(known, named); diff != "" {
		t.Errorf("-package detect +package policy:\n%s", diff)
	}
}

// TestCompileLimits: of two limits for the same the stricter holds, in whatever
// order they stand.
func TestCompileLimits(t *testing.T) {
	limits := []v1alpha1.Limit{
		{Type: v1alpha1.LimitRowsPerStatement, Maximum: 9},
		{Type: v1alpha1.LimitRowsPerStatement, Maximum: 7},
		{Type: v1alpha1.LimitBytesPerStatement, Maximum: 5},
		{Type: v1alpha1.LimitRowsPerWindow, Maximum: 4, WindowSeconds: 60},
		{Type: v1alpha1.LimitBytesPerWindow, Maximum: 3, WindowSeconds: 60},
		{Type: v1alpha1.LimitRowsPerWindow, Maximum: 40, WindowSeconds: 10},
		{Type: v1alpha1.LimitRowsPerWindow, Maximum: 6, WindowSeconds: 60},
	}
	want := &policy.Limits{RowsPerStatement: 7, BytesPerStatement: 5, Windows: []policy.Window{{Seconds: 10, Rows: 40}, {Seconds: 60, Rows: 4, Bytes: 3}}}
	for range limits {
		if diff := cmp.Diff(want, compileLimits(limits)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		limits = append(limits[1:], limits[0])
	}
	if compileLimits(nil) != nil {
		t.Error("limits where there are none")
	}
}
