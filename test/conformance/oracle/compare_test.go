// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// entry is what the server logged of one text: its command tag is known where
// the text came to its end, and is the one of its last statement.
type entry struct {
	text, tag string
	done      bool
}

// noted is one statement on record.
type noted struct {
	kind, text string
	outcome    string
	hidden     bool
}

// logLine is what matters of a line of the server's jsonlog.
type logLine struct {
	Application string `json:"application_name"`
	Severity    string `json:"error_severity"`
	Message     string `json:"message"`
	Tag         string `json:"ps"`
}

var logged = regexp.MustCompile(`(?s)^(?:statement|execute (?:fetch from )?([^:]*)): (.*)$`)

// serverLog reads the server's log by the end of the session's name, once a mark
// that is made now has arrived in it.
func serverLog(t *testing.T) map[string][]*entry {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperuserDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var dir string
	if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("mark of %d", time.Now().UnixNano())
	if _, err := conn.Exec(t.Context(), "SELECT '"+mark+"'"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log", "oracle.json")
	var content []byte
	for deadline := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		if content, err = os.ReadFile(path); err == nil && bytes.Contains(content, []byte(mark)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server's log has no %q: %v", mark, err)
		}
	}
	found := map[string][]*entry{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line logLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue // cut at the end
		}
		at := strings.LastIndexByte(line.Application, ':')
		if line.Severity != "LOG" || at < 0 || !strings.HasPrefix(line.Application, "doorward:") {
			continue
		}
		tail := line.Application[at+1:]
		list := found[tail]
		if m := logged.FindStringSubmatch(line.Message); m != nil {
			found[tail] = append(list, &entry{text: m[2]})
			if strings.HasPrefix(m[1], "doorward_refused_names") {
				list = found[tail]
				list[len(list)-1].tag = "own"
			}
		} else if strings.HasPrefix(line.Message, "duration: ") && len(list) > 0 {
			// Durations of Parse and Bind name their text.
			last := list[len(list)-1]
			if !strings.Contains(line.Message, " ms  ") && last.tag == "" {
				last.tag, last.done = line.Tag, true
			}
		}
	}
	return found
}

// atStart is what the proxy asks before the caller is in.
const atStart = "SELECT s FROM pg_catalog.unnest(pg_catalog.array_prepend("

// check holds the records of all sessions against the server's log.
func (s *side) check(t *testing.T) {
	t.Helper()
	log := serverLog(t)
	var order []string
	records := map[string][]*noted{}
	byID := map[string]*noted{}
	refusals := map[string]int{}
	refused, allowed := 0, 0
	for _, e := range s.road.Log.Events() {
		id := fmt.Sprint(e.Session, "/", e.OperationID)
		switch e.Type { //nolint:exhaustive // the others are of no statement
		case record.SessionStart:
			order = append(order, e.Session)
		case record.OperationDecided:
			if e.Decision.Effect != policy.Allow {
				refused++
				refusals[class(e)]++
				continue
			}
			allowed++
			text := e.Operation.Statement
			if at := strings.LastIndex(text, " -- run by: "); at >= 0 {
				text = text[at+len(" -- run by: "):]
			}
			n := &noted{kind: e.Operation.Kind, text: text, hidden: text == e.Operation.Normalized}
			records[e.Session], byID[id] = append(records[e.Session], n), n
		case record.OperationResult:
			if n := byID[id]; n != nil {
				n.outcome = e.Result.Outcome
			}
		}
	}
	differences := 0
	for i, session := range order {
		source := ""
		if i < len(s.sessions) {
			source = s.sessions[i]
		}
		const tail = 16
		for _, problem := range compare(records[session], log[session[max(0, len(session)-tail):]]) {
			differences++
			if differences <= 40 {
				t.Errorf("%s: %s", source, problem)
			}
		}
	}
	t.Logf("%s: %d texts sent, %d statements let through, %d refused, %d differences", s.name, s.sent, allowed, refused, differences)
	if allowed == 0 {
		t.Error("nothing was let through, so that nothing was compared")
	}
	for _, c := range slices.SortedFunc(maps.Keys(refusals), func(x, y string) int { return refusals[y] - refusals[x] }) {
		t.Logf("%6d refused: %s", refusals[c], c)
	}
}

var quoted = regexp.MustCompile(`"[^"]*"|\d+`)

// class is a refusal without what is particular to its statement.
func class(e record.Event) string {
	text, _, _ := strings.Cut(e.Decision.Message, "\n")
	text = quoted.ReplaceAllString(text, "*")
	if len(text) > 110 {
		text = text[:110]
	}
	return text
}

// compare says where the records of a session and the server's log of it differ.
func compare(records []*noted, entries []*entry) (problems []string) {
	// What was dropped before it ran is on record, and not in the log.
	at := 0
	for _, e := range entries {
		if e.tag == "own" || strings.HasPrefix(e.text, atStart) || e.text == "-- ping" {
			continue
		}
		rest := bare(e.text)
		var last *noted
		for rest != "" {
			if at == len(records) {
				problems = append(problems, fmt.Sprintf("executed and not on record: %.200q", e.text))
				break
			}
			n := records[at]
			next, ok := n.take(rest)
			if !ok {
				if n.skippable() {
					at++
					continue
				}
				problems = append(problems, fmt.Sprintf("on record is %s %.200q, executed was %.200q", n.kind, n.text, e.text))
				at++
				break
			}
			at, rest, last = at+1, next, n
		}
		if e.done && last != nil && last.outcome == "Succeeded" && !sameKind(last.kind, e.tag) {
			problems = append(problems, fmt.Sprintf("on record is the kind %q, the server says %q: %.200q", last.kind, e.tag, e.text))
		}
	}
	for ; at < len(records); at++ {
		if !records[at].skippable() {
			problems = append(problems, fmt.Sprintf("on record and not executed: %s %.200q (%s)", records[at].kind, records[at].text, records[at].outcome))
		}
	}
	return problems
}

// skippable says whether a statement need not be in the server's log: it was
// dropped before it ran, or the server's grammar, which is older than the
// parser's, did not take its text, which the server does not log then.
func (n *noted) skippable() bool {
	return n.outcome == "Canceled" || n.outcome == "Unknown" || n.outcome == "Failed"
}

var constant = regexp.MustCompile(`\\\$\d+`)

// take takes a statement off the beginning of what the server logged.
func (n *noted) take(text string) (string, bool) {
	if n.kind == "SET" && strings.Contains(strings.ToLower(n.text), "application_name") {
		// It goes to the target in another form.
		for _, form := range []string{"SETapplication_nameTODEFAULT", "SETLOCALapplication_nameTODEFAULT"} {
			if rest, ok := strings.CutPrefix(text, form); ok {
				return rest, true
			}
		}
	}
	if rest, ok := strings.CutPrefix(text, bare(n.text)); ok {
		return rest, true
	}
	if n.hidden {
		// Constants may be secrets: normalizing folds names and puts $n for them.
		form := strings.ReplaceAll(bare(n.text), `"`, "")
		whole := regexp.MustCompile(`(?is)^` + constant.ReplaceAllString(regexp.QuoteMeta(form), `.*`))
		if found := whole.FindString(strings.ReplaceAll(text, `"`, "")); found != "" {
			return "", true
		}
	}
	return text, false
}

// bare is a text without comments, white space and semicolons, but for those
// within quotes.
func bare(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		n := 1
		switch {
		case strings.HasPrefix(rest, "--"):
			if n = strings.IndexAny(rest, "\n\r"); n < 0 {
				return out.String()
			}
			i += n
			continue
		case strings.HasPrefix(rest, "/*"):
			i += comment(rest)
			continue
		case rest[0] == ';' || rest[0] < 0x80 && unicode.IsSpace(rune(rest[0])):
			i++
			continue
		case rest[0] == '\'':
			n = quote(rest, i > 0 && (text[i-1] == 'e' || text[i-1] == 'E') && (i < 2 || !word(text[i-2])))
		case rest[0] == '"':
			n = quote(rest, false)
		case rest[0] == '$' && (i == 0 || !word(text[i-1])):
			if tag := dollar.FindString(rest); tag != "" {
				if end := strings.Index(rest[len(tag):], tag); end >= 0 {
					n = len(tag) + end + len(tag)
				}
			}
		}
		out.WriteString(rest[:n])
		i += n
	}
	return out.String()
}

var dollar = regexp.MustCompile(`^\$([A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$`)

func word(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// comment is the length of a comment, which may hold others.
func comment(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(text[i:], "*/"):
			i++
			depth--
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// quote is the length of what is quoted by the first byte of a text.
func quote(text string, escapes bool) int {
	for i := 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == text[0]:
			return i + 1 // where it is doubled, the next one begins another
		}
	}
	return len(text)
}

// sameKind says whether a kind is the command that the server names; some tags
// say more, and some of what a statement holds.
func sameKind(kind, tag string) bool {
	return kind == tag || strings.HasPrefix(tag, kind+" ") || kind == "SELECT INTO" && tag == "SELECT"
}
