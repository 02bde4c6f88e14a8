// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAccount breaks what all such tests rest on: it must see what is missing.
func TestAccount(t *testing.T) {
	const read, write = "mark-r-a-1-1", "mark-w-a-1-1"
	once := func(marks ...string) map[string]int {
		counted := map[string]int{}
		for _, text := range marks {
			counted[text]++
		}
		return counted
	}
	is := func(text string) map[string]bool { return map[string]bool{text: true} }
	tests := map[string]struct {
		reason  string
		account Account
		want    []string
	}{
		"Complete": {
			reason: "what is on record and never executed is no harm",
			account: Account{
				Executed: once(write, read), Recorded: once(write, read, "mark-w-a-1-2"), Succeeded: once(write),
				Changed: is(write), Delivered: is(read), Answered: is(read),
			},
		},
		"Executed": {
			reason:  "a write must be on record",
			account: Account{Executed: once(write), ReadOverlap: true},
			want:    []string{write + ": executed 1 times, on record 0 times"},
		},
		"Repeated": {
			reason:  "each execution of a prepared statement must be on record",
			account: Account{Executed: once(write, write, write), Recorded: once(write, write)},
			want:    []string{write + ": executed 3 times, on record 2 times"},
		},
		"Read": {
			reason:  "where reads do not overlap, a read too",
			account: Account{Executed: once(read)},
			want:    []string{read + ": executed 1 times, on record 0 times"},
		},
		"Overlapped": {
			reason:  "where they do, a read that nobody saw may be missing",
			account: Account{Executed: once(read), ReadOverlap: true},
		},
		"Delivered": {
			reason:  "but not one that a client saw",
			account: Account{Executed: once(read), Delivered: is(read), ReadOverlap: true},
			want:    []string{read + ": delivered to the client, not on record"},
		},
		"Changed": {
			reason:  "the target's table is a witness of its own",
			account: Account{Changed: is(write)},
			want:    []string{write + ": changed the target, not on record"},
		},
		"Unheard": {
			reason:  "the target's log must not be misread",
			account: Account{Recorded: once(write), Succeeded: once(write), Answered: is(write)},
			want:    []string{write + ": answered, not executed", write + ": succeeded 1 times on record, executed 0 times"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.account.Problems()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestTargetLog reads a log as the target writes it, from some place on.
func TestTargetLog(t *testing.T) {
	const prefix = "2026-01-02 03:04:05.678 UTC [42] user=u db=d app=doorward:loader:1 "
	log := prefix + "LOG:  statement: UPDATE ledger SET mark = 'mark-w-a-1-1' WHERE n = 1\n" +
		prefix + "LOG:  statement: INSERT INTO ledger VALUES ('mark-w-a-1-2'); SELECT 'mark-r-a-1-3'\n" +
		prefix + "LOG:  execute p: UPDATE ledger SET mark = 'mark-w-a-1-4' WHERE n = $1\n" +
		prefix + "DETAIL:  parameters: $1 = 'mark-w-a-1-5'\n" +
		prefix + "ERROR:  relation \"mark-w-a-1-6\" does not exist\n" +
		prefix + "LOG:  execute p: UPDATE ledger SET mark = 'mark-w-a-1-4' WHERE n = $1\n"
	want := map[string]int{"mark-w-a-1-1": 1, "mark-w-a-1-2": 1, "mark-r-a-1-3": 1, "mark-w-a-1-4": 2}
	const former = prefix + "LOG:  statement: UPDATE ledger SET mark = 'mark-w-a-1-7' WHERE n = 1\n"
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(former+log), 0o600); err != nil {
		t.Fatal(err)
	}
	l := NewTargetLog(path, int64(len(former)), "a")
	if err := l.Read(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, l.Executed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
