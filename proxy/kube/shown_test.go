// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
)

// TestShownAccesses: checklist 37: what the caller named comes first and is never
// cut; what it reaches is cut where a request has no more room.
func TestShownAccesses(t *testing.T) {
	of := func(named, reached int) (all []record.AccessDocument) {
		for i := range reached {
			all = append(all, record.AccessDocument{Action: "select", Resource: fmt.Sprintf("p%d", i), Indirect: true})
		}
		for i := range named {
			all = append(all, record.AccessDocument{Action: "update", Resource: fmt.Sprintf("t%d", i)})
		}
		return all
	}
	want := []v1alpha1.Access{{Action: "update", Resource: "t0"}, {Action: "select", Resource: "p0"}, {Action: "select", Resource: "p1"}}
	if diff := cmp.Diff(want, shownAccesses(of(1, 2))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, tc := range []struct{ named, reached, want int }{{1, 300, maxAccesses}, {300, 1, 300}, {256, 5, 256}, {0, 0, 0}} {
		if got := shownAccesses(of(tc.named, tc.reached)); len(got) != tc.want {
			t.Errorf("of %d named and %d reached, %d are shown, want %d", tc.named, tc.reached, len(got), tc.want)
		}
	}
}
