// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// TestRead: checklist 46: a reading is on record with all that is known of the reader, and
// what is given can be verified and is nobody else's.
func TestRead(t *testing.T) {
	p := open(t)
	code, body, err := p.post(t, p.manager(t), wire.Path, encoded(t, p.request()))
	if err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, body, err)
	}
	var kinds []record.Type
	report, err := extract.Check(bytes.NewReader(body), func(r record.Record) error {
		d, err := record.Decode(r.JSON)
		kinds = append(kinds, d.Type)
		return err
	})
	must(t, err)
	if diff := cmp.Diff([]record.Type{record.SessionStart, record.OperationDecided, record.SessionEnd}, kinds); diff != "" || bytes.Contains(body, []byte("canary")) {
		t.Errorf("-want +got\n%s\n%s", diff, body)
	}
	reads := p.reads(t)
	if len(reads) != 1 || report.Size <= reads[0].Index {
		t.Fatalf("%d readings on record, the checkpoint is of %d", len(reads), report.Size)
	}
	want := record.Document{
		Type: record.RecordingRead, Revision: 7, ClientAddress: "192.0.2.9:40112",
		Connection: &record.ConnectionDocument{Namespace: "data", Name: "shop", UID: "c-1"},
		Actor: &record.ActorDocument{
			Subject: "u-1", UserName: "dora", KubernetesUser: "dora", Groups: []string{"auditors"}, Method: "tokenreview",
			Claims: []record.ClaimDocument{{Name: "example.com/token", Values: []string{"t-1"}}},
		},
		Decision: &record.DecisionDocument{Effect: "Allow", Cause: "RBAC: allowed"},
		Read:     &record.ReadDocument{Session: "own", FirstRecord: p.first, Unrecorded: 2},
	}
	want.Schema, want.Log, want.Index, want.Previous, want.Time = reads[0].Schema, reads[0].Log, reads[0].Index, reads[0].Previous, reads[0].Time
	// The session's start is the last of both starts.
	if diff := cmp.Diff(want, reads[0]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLargeLog: the manager hears that the reading is on record before the log was read for
// it, which may take longer than it waits for that.
func TestLargeLog(t *testing.T) {
	p := open(t)
	p.slow = make(chan struct{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.address+wire.Path, bytes.NewReader(encoded(t, p.request())))
	must(t, err)
	answer, err := p.manager(t).Do(request)
	if err != nil {
		t.Fatalf("no answer until the log was read: %v", err)
	}
	defer answer.Body.Close()
	if reads := p.reads(t); answer.StatusCode != http.StatusOK || len(reads) != 1 {
		t.Errorf("%d, %d readings on record", answer.StatusCode, len(reads))
	}
	close(p.slow)
	_, err = extract.Check(answer.Body, func(record.Record) error { return nil })
	must(t, err)
}
