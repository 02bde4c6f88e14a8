// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/proxy/report"
)

// TestTracker follows one entry through time: it is live while it changes, stale
// when it does not, whatever the proxy's clock says.
func TestTracker(t *testing.T) {
	key := types.NamespacedName{Namespace: "ns", Name: "c"}
	start := time.Unix(1800000000, 0)
	entry := func(at time.Time) map[string]string {
		text, err := report.Encode(report.Report{Instance: "a", ObservedAt: at, Nonce: "n"})
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{"a": text}
	}
	slow := start.Add(-time.Hour) // the proxy's clock is an hour behind
	tr := newTracker()
	if live, stale := tr.observe(key, entry(slow), start); len(live) != 0 || len(stale) != 1 {
		t.Errorf("an old entry at start: %d live, %d stale: it may be of a proxy long gone", len(live), len(stale))
	}
	if live, _ := tr.observe(key, entry(slow.Add(30*time.Second)), start.Add(30*time.Second)); len(live) != 1 {
		t.Error("an entry that was renewed is live, though its clock is behind")
	}
	if live, _ := tr.observe(key, entry(slow.Add(30*time.Second)), start.Add(time.Minute)); len(live) != 1 {
		t.Error("it is live until it has not changed for the whole time")
	}
	if live, stale := tr.observe(key, entry(slow.Add(30*time.Second)), start.Add(30*time.Second+report.StaleAfter)); len(live) != 0 || len(stale) != 1 {
		t.Errorf("an entry that was not renewed: %d live, %d stale", len(live), len(stale))
	}
	if _, stale := tr.observe(key, map[string]string{"b": "no report"}, start); len(stale) != 1 {
		t.Error("what is no report is pruned")
	}
}
