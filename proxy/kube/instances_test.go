// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/report"
)

// TestInstances: who reports is live, with what it knows of the target; who does not
// any more is gone.
func TestInstances(t *testing.T) {
	s := newSite(t)
	one := s.reporter("one")
	one.Target = func() *report.Target { return &report.Target{Watched: true} }
	must(t, one.Claim(t.Context()))
	if got, _ := s.reported(); got.Target == nil || !got.Target.Watched {
		t.Errorf("reported: %+v", got.Target)
	}
	other := s.reporter("two")
	other.Instance = "proxy-1"
	must(t, other.Claim(t.Context()))
	gone, err := report.Encode(report.Report{Instance: "proxy-2", Nonce: "three", ObservedAt: time.Now().Add(-2 * report.StaleAfter)})
	must(t, err)
	stale := s.reporter("three")
	stale.Instance = "proxy-2"
	must(t, stale.patch(t.Context(), "", &gone))
	live, err := one.Instances(t.Context())
	must(t, err)
	var names []string
	for _, r := range live {
		names = append(names, r.Instance+"/"+r.Nonce)
	}
	slices.Sort(names)
	if want := []string{"proxy-0/one", "proxy-1/two"}; !slices.Equal(names, want) {
		t.Errorf("live: %q, want %q", names, want)
	}
}

// TestForeignLoginEvent: readers of a Connection learn of a login that no proxy made,
// and not the name of the stored credential's role (checklist 49).
func TestForeignLoginEvent(t *testing.T) {
	d := &record.Document{
		Type: record.ForeignLogin, ClientAddress: "192.0.2.66:4022", Reason: "no proxy made it",
		Attributes: []record.AttributeDocument{{Name: "role", Value: "shop_app"}},
	}
	kind, reason, message := describe(d)
	if kind != "Warning" || reason != "ForeignLogin" || !strings.Contains(message, "192.0.2.66:4022") || !strings.Contains(message, d.Reason) || strings.Contains(message, "shop_app") {
		t.Errorf("%s %s: %q", kind, reason, message)
	}
	d.ClientAddress = ""
	if _, _, message := describe(d); !strings.Contains(message, "does not show") {
		t.Errorf("without an address: %q", message)
	}
}
