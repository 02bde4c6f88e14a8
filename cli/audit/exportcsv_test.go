// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"encoding/csv"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
)

// TestExportOfPrograms: how programs ended and what went through is in columns of its own.
func TestExportOfPrograms(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	cases := []struct {
		reason string
		result record.Result
		want   []string // exitStatus, exitSignal, transfers
	}{
		{"no program was run", record.Result{Outcome: "OK"}, []string{"", "", ""}},
		{"zero is a status, too", record.Result{Outcome: "OK", Exit: &record.Exit{}}, []string{"0", "", ""}},
		{"as a shell has it", record.Result{Outcome: "OK", Exit: &record.Exit{Status: 126}}, []string{"126", "", ""}},
		{"a signal ends without a status", record.Result{Outcome: "OK", Exit: &record.Exit{Signal: "TERM"}}, []string{"", "TERM", ""}},
		{"a core image may hold what the program knew", record.Result{Outcome: "OK", Exit: &record.Exit{Signal: "SEGV", CoreDumped: true}}, []string{"", "SEGV with a core image", ""}},
		{"a target says what it likes, also to a spreadsheet", record.Result{Outcome: "OK", Exit: &record.Exit{Signal: "=1+1"}}, []string{"", "'=1+1", ""}},
		{
			"both ways, with digests and a separator in a name",
			record.Result{Outcome: "OK", Transfers: []record.Transfer{
				{Direction: record.ToTarget, Name: "/srv/a; b", Bytes: 12, Digest: digest},
				{Direction: record.ToCaller, Name: "/srv/c", Bytes: 3, Undigested: "read in pieces"},
			}},
			[]string{"", "", `to the target "/srv/a; b": 12 bytes, ` + digest + `; to the caller "/srv/c": 3 bytes, no digest: read in pieces`},
		},
	}
	dir := filepath.Join(t.TempDir(), "log")
	log, err := spool.Open(t.Context(), spool.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		if _, err := log.Append(t.Context(), record.Event{Type: record.OperationResult, Session: "s-1", OperationID: uint64(i + 1), Result: &cases[i].result}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	out, _, err := call(t, "export", dir, "--session", "s-1", "--format", "csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != len(cases)+1 {
		t.Fatalf("%v: %q", err, rows)
	}
	last := len(rows[0]) - 3
	if diff := cmp.Diff([]string{"exitStatus", "exitSignal", "transfers"}, rows[0][last:]); diff != "" {
		t.Errorf("the columns (-want +got):\n%s", diff)
	}
	for i, tc := range cases {
		if diff := cmp.Diff(tc.want, rows[i+1][last:]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
		}
	}
}
