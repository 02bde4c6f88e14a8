// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"slices"
	"testing"

	"github.com/doorward/doorward/proxy/report"
)

// TestReporterOfWhatIsLeft is checklist 44: a proxy that stops while a sink lacks
// records of it leaves word, as one that does not serve; the next process with its
// log is not held up by that, and another one is.
func TestReporterOfWhatIsLeft(t *testing.T) {
	s := newSite(t)
	r := s.reporter("one")
	r.Sinks = func() []report.Sink { return []report.Sink{{Name: "archive", Lag: 3}} }
	must(t, r.Claim(t.Context()))
	stop := run(t, r.Run)
	eventually(t, "the report", func() bool { _, found := s.reported(); return found })
	stop()
	got, found := s.reported()
	if !found || len(got.Sinks) != 1 || got.Sinks[0].Lag != 3 || !slices.ContainsFunc(got.Problems, func(p report.Problem) bool { return p.Type == report.Stopped && p.Hinders() }) {
		t.Errorf("after the end: %v, %+v; want the lag and that it does not serve", found, got)
	}
	if err := s.reporter("two").Claim(t.Context()); !errors.Is(err, ErrDuplicateInstance) {
		t.Errorf("Claim() without its log = %v, want %v", err, ErrDuplicateInstance)
	}
	must(t, s.reporter("one").Claim(t.Context()))
	if got, _ := s.reported(); len(got.Problems) != 0 {
		t.Errorf("its log is served again, with problems of before: %+v", got.Problems)
	}
}
