// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
)

// TestBreakGlassIsNoApproval: what nobody approved is not shown as approved by anybody, also
// where it is one of several that an operation rests on.
func TestBreakGlassIsNoApproval(t *testing.T) {
	alone := record.Approval{Scope: policy.ScopeSession, Request: "fire", Outcome: "Approved", BreakGlass: true}
	given := record.Approval{Request: "held", Outcome: "Approved", Approvers: []string{"bob", "carol"}}
	both := given
	both.Also = []record.Approval{alone}
	dir := filepath.Join(t.TempDir(), "log")
	log, err := spool.Open(t.Context(), spool.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for n, approval := range []record.Approval{given, alone, both} {
		if _, err := log.Append(t.Context(), record.Event{
			Type: record.OperationDecided, Session: "s-1", OperationID: uint64(n + 1), Actor: &identity.Principal{UserName: "alice"}, Approval: &approval,
			Decision: &record.Decision{Effect: policy.RequireApproval}, Operation: &record.Operation{Statement: "SELECT 1"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	shown, _, err := call(t, "show", dir, "--session", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	exported, _, err := call(t, "export", dir, "--session", "s-1", "--format", "csv")
	if err != nil {
		t.Fatal(err)
	}
	const nobody = "approved by nobody: the caller went ahead by break-glass (request fire)"
	for n, want := range [][]string{
		{" Approved ", "approval: Approved by bob, carol (request held)", ",Approved held,"},
		{" BreakGlass ", "approval: " + nobody, ",BreakGlass fire,"},
		{" BreakGlass ", "approval: Approved by bob, carol (request held); " + nobody, ",Approved held; BreakGlass fire,"},
	} {
		line, row := strings.Split(shown, "\n")[n+1], strings.Split(exported, "\n")[n+1]
		if !strings.Contains(line, want[0]) || !strings.Contains(line, want[1]) {
			t.Errorf("%s: want %q and %q", line, want[0], want[1])
		}
		if !strings.Contains(row, want[2]) {
			t.Errorf("%s: want %q", row, want[2])
		}
	}
	if got := audit.Approvals(&record.ApprovalDocument{Request: "held"}); got != "" {
		t.Errorf("what waits is decided: %q", got)
	}
}

// TestRecordingOfOneLog: a recording is not put together of what two logs have of a session
// of one name.
func TestRecordingOfOneLog(t *testing.T) {
	own, forged := take(t), take(t)
	out, _, err := call(t, "export", own.dir, forged.dir, "--session", "s-1", "--format", "asciicast")
	if err == nil || !strings.Contains(err.Error(), "is in several logs: give the files of one: ") || out != "" {
		t.Errorf("%q, %v", out, err)
	}
}
