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

// What the proxy itself sends in a session: before the caller is in, for the
// role and the search path, and a comment to see whether the target has said
// something unasked; later, its own questions under a name that is kept from clients.
const (
	ownPing      = "-- ping"
	ownStatement = "SELECT s FROM pg_catalog.unnest(pg_catalog.array_prepend(current_user, pg_catalog.current_schemas(true))) WITH ORDINALITY AS u(s, n) ORDER BY n"
	ownQuestion  = "execute doorward_refused_names/doorward_refused_names: "
)

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
		if found[session] == nil {
			found[session] = []string{}
		}
		text := strings.Join(entry, "\n")
		m := statement.FindStringSubmatch(text)
		if len(m) == 0 || strings.HasPrefix(text, ownQuestion) || m[1] == ownStatement && len(found[session]) == 0 {
			return
		}
		found[session] = append(found[session], m[1])
	}
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		// The server puts a tab before the further lines of an entry.
		if rest, further := strings.CutPrefix(line, "\t"); further {
			entry = append(entry, rest)
			continue
		}
		flush()
		session, entry = "", entry[:0]
		if !strings.Contains(line, prefix) {
			continue
		}
		if m := logLine.FindStringSubmatch(line); len(m) > 3 && m[2] == "LOG" {
			if tail, ok := strings.CutPrefix(m[1], prefix); ok {
				session, entry = tail, append(entry, m[3])
			}
		}
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

// recorded is an operation that was let through, as it is on record.
type recorded struct {
	text string
	// whole matches the target's text where the record shows the normalized
	// form, as it does of COPY, whose constants may be secrets.
	whole     *regexp.Regexp
	cut, used bool
	outcome   string
}

var constant = regexp.MustCompile(`\\\$\d+`)

func newRecorded(o *record.OperationDocument) *recorded {
	text := o.Statement
	// The target's log has the EXECUTE, the record what it runs, too.
	if i := strings.LastIndex(text, " -- run by: "); i >= 0 {
		text = text[i+len(" -- run by: "):]
	}
	r := &recorded{text: bare(text), cut: o.Truncated > 0}
	if o.Kind == "SET" && strings.Contains(strings.ToLower(o.Statement), "application_name") {
		r.text = "SETapplication_nameTODEFAULT" // the form in which it goes to the target
	}
	if o.Kind == "COPY" {
		// Normalizing folds names and keywords and puts $n for constants.
		r.whole = regexp.MustCompile(`(?is)^` + constant.ReplaceAllString(regexp.QuoteMeta(unquoted(r.text)), `.*`) + `$`)
	}
	return r
}

func unquoted(text string) string { return strings.ReplaceAll(text, `"`, "") }

// take takes the operation's text off the beginning of what the target ran.
func (r *recorded) take(text string) (rest string, ok bool) {
	if r.whole != nil {
		return "", r.whole.MatchString(unquoted(text))
	}
	rest, ok = strings.CutPrefix(text, r.text)
	if ok && r.cut {
		rest = ""
	}
	return rest, ok
}

// compareLogs holds the target's log of a session against the session's
// records: everything executed must be on record as allowed, in that order, and
// everything on record as succeeded must have been executed. One text of the
// target's log may be several statements on record.
func compareLogs(documents []record.Document, executed []string) (problems []string) {
	var list []*recorded
	byID := map[uint64]*recorded{}
	for _, d := range documents {
		switch {
		case d.Type == record.OperationDecided && allowed(d):
			r := newRecorded(d.Operation)
			list, byID[d.OperationID] = append(list, r), r
		case d.Type == record.OperationResult && byID[d.OperationID] != nil:
			byID[d.OperationID].outcome = d.Result.Outcome
		}
	}
	next := 0
	for _, text := range executed {
		want := bare(text)
		if want == "" || want == bare(ownPing) {
			continue // no statement
		}
		last := -1
		for first := next; first < len(list) && last < 0; first++ {
			last = matched(list[first:], want)
			if last >= 0 {
				for _, r := range list[first : first+last+1] {
					r.used = true
				}
				next = first + last + 1
			}
		}
		if last < 0 {
			problems = append(problems, fmt.Sprintf("executed but not recorded: %q", clip(text)))
		}
	}
	for i, r := range list {
		if r.outcome == "Succeeded" && !r.used && !standsFor(list, r) {
			problems = append(problems, fmt.Sprintf("recorded as succeeded but not executed: operation %d of those let through: %q", i+1, clip(r.text)))
		}
	}
	return problems
}

// matched returns the index of the last of the operations that a text of the
// target's log is made of, beginning with the first; -1 where it is not.
func matched(list []*recorded, text string) int {
	for i, r := range list {
		rest, ok := r.take(text)
		if !ok {
			return -1
		}
		if rest == "" {
			return i
		}
		text = rest
	}
	return -1
}

// standsFor says whether an equal statement that failed before it ran, such as a
// prepared one that had become stale, was taken for this one.
func standsFor(list []*recorded, missing *recorded) bool {
	for _, r := range list {
		if r.used && r.outcome != "Succeeded" && r.text == missing.text {
			r.used, missing.used = false, true
			return true
		}
	}
	return false
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
		"stale": {
			reason: "the same statement failed before it ran, and then succeeded",
			records: []record.Document{
				decided(1, "Allow", "SELECT 1"), decided(2, "Allow", "SELECT 2"), decided(3, "Allow", "SELECT $1"), decided(4, "Allow", "SELECT $1"), succeeded(4),
				decided(5, "Allow", "SELECT 4"), succeeded(5),
			},
		},
		"invented": {
			reason: "a result needs an execution",
			records: []record.Document{
				decided(1, "Allow", "SELECT 1"), decided(2, "Allow", "SELECT 2"), decided(3, "Allow", "SELECT $1"), decided(4, "Allow", "SELECT 4"),
				decided(5, "Allow", "SELECT 5"), succeeded(5),
			},
			problems: []string{`recorded as succeeded but not executed: operation 5 of those let through: "SELECT5"`},
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
