// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
)

// How pgtest has the target write its log (pgtest.LogLinePrefix), and how the
// proxy names a session there: "doorward:<user>:<end of the session's id>".
var (
	logLine   = regexp.MustCompile(`^\d{4}-\d\d-\d\d \S+ \S+ \[\d+\] user=\S* db=\S* app=(.*?) ([A-Z]+):  (.*)$`)
	statement = regexp.MustCompile(`(?s)^(?:statement|execute (?:fetch from )?[^:]*): (.*)$`)
)

// ownStatement is what the proxy itself asks in a session, before the caller is in.
const ownStatement = "SELECT s FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS u(s, n) ORDER BY n"

const sessionTail = 16

func tailOf(session string) string { return session[max(0, len(session)-sessionTail):] }

// targetLog reads what the target executed for a user, by the end of the
// session's id, in order.
func targetLog(path, user string) (map[string][]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the target's log: %w", err)
	}
	return executedBy(string(content), user), nil
}

func executedBy(log, user string) map[string][]string {
	found := map[string][]string{}
	prefix := "doorward:" + user + ":"
	var session string
	var entry []string
	flush := func() {
		if session == "" {
			return
		}
		if m := statement.FindStringSubmatch(strings.Join(entry, "\n")); m != nil && (m[1] != ownStatement || len(found[session]) > 0) {
			found[session] = append(found[session], m[1])
		} else if found[session] == nil {
			found[session] = []string{}
		}
	}
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		if m := logLine.FindStringSubmatch(line); m != nil {
			flush()
			session, entry = "", entry[:0]
			if tail, ok := strings.CutPrefix(m[1], prefix); ok && m[2] == "LOG" {
				session, entry = tail, append(entry, m[3])
			}
			continue
		}
		// The server puts a tab before the further lines of an entry.
		entry = append(entry, strings.TrimPrefix(line, "\t"))
	}
	flush()
	return found
}

// bare is a text without what lies between its statements.
func bare(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ';' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// compareLogs holds the target's log of a session against the session's
// records: everything executed must be on record as allowed, in that order, and
// everything on record as succeeded must have been executed. One text of the
// target's log may be several statements on record.
func compareLogs(documents []record.Document, executed []string) (problems []string) {
	type recorded struct {
		text      string
		cut, used bool
	}
	var list []*recorded
	byID := map[uint64]*recorded{}
	for _, d := range documents {
		if d.Type == record.OperationDecided && allowed(d) {
			r := &recorded{text: bare(d.Operation.Statement), cut: d.Operation.Truncated > 0}
			list, byID[d.OperationID] = append(list, r), r
		}
	}
	next := 0
	for _, text := range executed {
		want := bare(text)
		found := false
		for first := next; first < len(list) && !found; first++ {
			rest := want
			for last := first; last < len(list); last++ {
				after, ok := strings.CutPrefix(rest, list[last].text)
				if !ok {
					break
				}
				rest = after
				if rest == "" || list[last].cut {
					for i := first; i <= last; i++ {
						list[i].used = true
					}
					next, found = last+1, true
					break
				}
			}
		}
		if !found {
			problems = append(problems, fmt.Sprintf("executed but not recorded: %q", clip(text)))
		}
	}
	for _, d := range documents {
		if r := byID[d.OperationID]; d.Type == record.OperationResult && d.Result.Outcome == "Succeeded" && (r == nil || !r.used) {
			problems = append(problems, fmt.Sprintf("recorded as succeeded but not executed: operation %d", d.OperationID))
		}
	}
	return problems
}

// TestCompareLogs breaks what the account rests on: it must see what is missing.
func TestCompareLogs(t *testing.T) {
	decided := func(id uint64, effect, text string) record.Document {
		return record.Document{
			Type: record.OperationDecided, OperationID: id,
			Operation: &record.OperationDocument{Statement: text}, Decision: &record.DecisionDocument{Effect: effect},
		}
	}
	succeeded := func(id uint64) record.Document {
		return record.Document{Type: record.OperationResult, OperationID: id, Result: &record.ResultDocument{Outcome: "Succeeded"}}
	}
	const prefix = "2026-01-02 03:04:05.678 UTC [42] user=u db=d app="
	log := prefix + "doorward:ann:0001 LOG:  statement: " + ownStatement + "\n" +
		prefix + "doorward:ann:0001 LOG:  statement: SELECT 1;\n\tSELECT 2\n" +
		prefix + "doorward:ann:0001 ERROR:  statement: no statement\n" +
		prefix + "doorward:ben:0002 LOG:  statement: SELECT 3\n" +
		prefix + "doorward:ann:0001 LOG:  execute s: 1/portal: SELECT $1\n" +
		prefix + "doorward:ann:0001 LOG:  execute fetch from c: SELECT 4\n" +
		prefix + "doorward:ann:0003 LOG:  disconnection: session time: 0:00:00.010\n"
	executed := executedBy(strings.ReplaceAll(log, "s: 1", "s_1"), "ann")
	want := map[string][]string{"0001": {"SELECT 1;\nSELECT 2", "SELECT $1", "SELECT 4"}, "0003": {}}
	if diff := cmp.Diff(want, executed); diff != "" {
		t.Fatalf("executed (-want +got):\n%s", diff)
	}
	tests := map[string]struct {
		reason   string
		records  []record.Document
		problems []string
	}{
		"complete": {
			reason: "several statements may be one text",
			records: []record.Document{
				decided(1, "Allow", "SELECT 1"), succeeded(1), decided(2, "Allow", "SELECT 2"), succeeded(2),
				decided(3, "Allow", "SELECT $1"), decided(4, "Allow", "SELECT 4"), decided(5, "Allow", "SELECT 5"),
			},
		},
		"missing": {
			reason:   "a statement that is executed and not on record is what must never be",
			records:  []record.Document{decided(1, "Allow", "SELECT 1"), decided(2, "Allow", "SELECT 2"), decided(3, "Allow", "SELECT $1")},
			problems: []string{`executed but not recorded: "SELECT 4"`},
		},
		"denied": {
			reason:   "what is on record as refused is not recorded as executed",
			records:  []record.Document{decided(1, "Allow", "SELECT 1"), decided(2, "Allow", "SELECT 2"), decided(3, "Deny", "SELECT $1"), decided(4, "Allow", "SELECT 4")},
			problems: []string{`executed but not recorded: "SELECT $1"`},
		},
		"invented": {
			reason: "a result needs an execution",
			records: []record.Document{
				decided(1, "Allow", "SELECT 1"), decided(2, "Allow", "SELECT 2"), decided(3, "Allow", "SELECT $1"), decided(4, "Allow", "SELECT 4"),
				decided(5, "Allow", "SELECT 5"), succeeded(5),
			},
			problems: []string{"recorded as succeeded but not executed: operation 5"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.problems, compareLogs(tc.records, executed["0001"])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
