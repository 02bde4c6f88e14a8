// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// account is what happened, by four witnesses: the target's log, the target's
// table, the clients, and the record. Maps are by mark.
type account struct {
	executed            map[string]int
	changed             map[string]bool
	delivered, answered map[string]bool
	recorded, succeeded map[string]int
	// readOverlap: reads may be executed before they are on record.
	readOverlap bool
}

// problems are what promise 2 forbids, sorted.
func (a account) problems() (out []string) {
	for text, n := range a.executed {
		if mayBeMissing := a.readOverlap && reads(text); a.recorded[text] < n && !mayBeMissing {
			out = append(out, fmt.Sprintf("%s: executed %d times, on record %d times", text, n, a.recorded[text]))
		}
	}
	for text := range a.changed {
		if a.recorded[text] == 0 {
			out = append(out, text+": changed the target, not on record")
		}
	}
	for text := range a.delivered {
		if a.recorded[text] == 0 {
			out = append(out, text+": delivered to the client, not on record")
		}
	}
	// Not promise 2, but without it the rest would say nothing.
	for text := range a.answered {
		if a.executed[text] == 0 {
			out = append(out, text+": answered, not executed")
		}
	}
	for text, n := range a.succeeded {
		if a.executed[text] < n {
			out = append(out, fmt.Sprintf("%s: succeeded %d times on record, executed %d times", text, n, a.executed[text]))
		}
	}
	slices.Sort(out)
	return out
}

// TestAccount breaks what all tests here rest on: it must see what is missing.
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
		account account
		want    []string
	}{
		"Complete": {
			reason: "what is on record and never executed is no harm",
			account: account{
				executed: once(write, read), recorded: once(write, read, "mark-w-a-1-2"), succeeded: once(write),
				changed: is(write), delivered: is(read), answered: is(read),
			},
		},
		"Executed": {
			reason:  "a write must be on record",
			account: account{executed: once(write), readOverlap: true},
			want:    []string{write + ": executed 1 times, on record 0 times"},
		},
		"Repeated": {
			reason:  "each execution of a prepared statement must be on record",
			account: account{executed: once(write, write, write), recorded: once(write, write)},
			want:    []string{write + ": executed 3 times, on record 2 times"},
		},
		"Read": {
			reason:  "where reads do not overlap, a read too",
			account: account{executed: once(read)},
			want:    []string{read + ": executed 1 times, on record 0 times"},
		},
		"Overlapped": {
			reason:  "where they do, a read that nobody saw may be missing",
			account: account{executed: once(read), readOverlap: true},
		},
		"Delivered": {
			reason:  "but not one that a client saw",
			account: account{executed: once(read), delivered: is(read), readOverlap: true},
			want:    []string{read + ": delivered to the client, not on record"},
		},
		"Changed": {
			reason:  "the target's table is a witness of its own",
			account: account{changed: is(write)},
			want:    []string{write + ": changed the target, not on record"},
		},
		"Unheard": {
			reason:  "the target's log must not be misread",
			account: account{recorded: once(write), succeeded: once(write), answered: is(write)},
			want:    []string{write + ": answered, not executed", write + ": succeeded 1 times on record, executed 0 times"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.account.problems()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestTargetLog reads a log as the target writes it, cut anywhere.
func TestTargetLog(t *testing.T) {
	const prefix = "2026-01-02 03:04:05.678 UTC [42] user=u db=d app=doorward:loader:1 "
	log := prefix + "LOG:  statement: UPDATE ledger SET mark = 'mark-w-a-1-1' WHERE n = 1\n" +
		prefix + "LOG:  statement: INSERT INTO ledger VALUES ('mark-w-a-1-2'); SELECT 'mark-r-a-1-3'\n" +
		prefix + "LOG:  execute p: UPDATE ledger SET mark = 'mark-w-a-1-4' WHERE n = $1\n" +
		prefix + "DETAIL:  parameters: $1 = 'mark-w-a-1-5'\n" +
		prefix + "ERROR:  relation \"mark-w-a-1-6\" does not exist\n" +
		prefix + "LOG:  execute p: UPDATE ledger SET mark = 'mark-w-a-1-4' WHERE n = $1\n"
	want := map[string]int{"mark-w-a-1-1": 1, "mark-w-a-1-2": 1, "mark-r-a-1-3": 1, "mark-w-a-1-4": 2}
	for cut := range len(log) {
		l := &targetLog{mark: marks("a"), executed: map[string]int{}}
		l.take(log[:cut])
		l.take(log[cut:])
		if diff := cmp.Diff(want, l.executed); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", cut, diff)
		}
	}
}
