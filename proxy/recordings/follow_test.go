// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// TestFollow: checklist 46: what comes reaches the reader while the session goes on; that
// they follow it is on record before the first byte.
func TestFollow(t *testing.T) {
	p := open(t)
	at, err := p.Log.Append(t.Context(), record.Event{Type: record.SessionStart, Session: "on", Connection: shop})
	must(t, err)
	asked := p.request()
	asked.Session, asked.FirstRecord, asked.Follow = "on", at.Index, true
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.address+wire.Path, bytes.NewReader(encoded(t, asked)))
	must(t, err)
	answer, err := p.manager(t).Do(request)
	must(t, err)
	defer answer.Body.Close()
	if reads := p.reads(t); len(reads) != 1 || !reads[0].Read.Follow || reads[0].Actor.UserName != "dora" {
		t.Errorf("readings on record: %+v", reads)
	}
	// Each step is made once the one before has come, proven.
	steps := []record.Event{
		{Type: record.OperationDecided, Session: "on", OperationID: 1, Connection: shop, Operation: &record.Operation{Statement: "SELECT 1"}, Decision: &record.Decision{Effect: policy.Allow}},
		{Type: record.OperationResult, Session: "on", OperationID: 1, Connection: shop, Result: &record.Result{Outcome: "Succeeded"}},
		{Type: record.SessionEnd, Session: "on", Connection: shop},
	}
	records := 0
	must(t, extract.Follow(answer.Body, func(record.Record) error { return nil }, func(r *extract.Report) error {
		if records = r.Records; records <= len(steps) {
			_, err := p.Log.Append(t.Context(), steps[records-1])
			return err
		}
		return nil
	}))
	if records != 4 {
		t.Errorf("%d records, want 4", records)
	}
}
