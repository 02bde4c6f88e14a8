// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// case1 is one attempt: statements that one session sends one after the other.
//
// In a file it begins with a line "-- case: " and the reason it is there. Further
// lines "-- word: rest" of its head say how it is to be run: "only" names the
// clients (psql, simple, text, binary), "refused" says that its last statement
// must not reach the target, "differs" why the twins' answers may differ in what
// is no masked value; see columns for honest cases. A statement ends with ; at the end of a line, outside $$.
type case1 struct {
	file, reason string
	line         int
	only         []string
	refused      bool
	differs      bool
	statements   []string

	// masked says of honest cases how columns are masked by their names; copied
	// are the columns of copy data.
	masked map[string]string
	copied []string
}

// command is a command of psql at the end of a line.
var command = regexp.MustCompile(`(^|\s)\\[a-z]+[^;]*$`)

func (c case1) runs(client string) bool { return len(c.only) == 0 || slices.Contains(c.only, client) }

// load reads the cases of a folder by file.
func load(t *testing.T, folder string) map[string][]case1 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %q: %v", folder, err)
	}
	out := map[string][]case1{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".sql")
		out[name] = parseCases(t, name, strings.ReplaceAll(string(content), "{stolen}", stolen))
	}
	return out
}

// columns reads the lines that say how honest cases are masked: "masked" names
// columns and how, "clear" those that are not, "copied" those of copy data.
func (c *case1) columns(line string) bool {
	if c.masked == nil {
		c.masked = map[string]string{}
	}
	if list, is := strings.CutPrefix(line, "-- masked: "); is {
		for part := range strings.SplitSeq(list, ", ") {
			name, way, _ := strings.Cut(part, "=")
			c.masked[name] = way
		}
		return true
	}
	if list, is := strings.CutPrefix(line, "-- clear: "); is {
		for _, name := range strings.Fields(list) {
			c.masked[name] = ""
		}
		return true
	}
	list, is := strings.CutPrefix(line, "-- copied: ")
	if is {
		c.copied = strings.Fields(list)
	}
	return is
}

func parseCases(t *testing.T, file, content string) (out []case1) {
	t.Helper()
	everyRefused := false
	quoted := false
	var text strings.Builder
	for number, line := range strings.Split(content, "\n") {
		if reason, begins := strings.CutPrefix(line, "-- case: "); begins {
			out = append(out, case1{file: file, reason: reason, line: number + 1, refused: everyRefused})
			continue
		}
		if len(out) == 0 {
			everyRefused = everyRefused || line == "-- every case: refused"
			continue
		}
		c := &out[len(out)-1]
		if text.Len() == 0 {
			if words, is := strings.CutPrefix(line, "-- only: "); is {
				c.only = strings.Fields(words)
				continue
			}
			if line == "-- refused" {
				c.refused = true
				continue
			}
			if strings.HasPrefix(line, "-- differs: ") || line == "-- any rows" {
				c.differs = true
				continue
			}
			if c.columns(line) {
				continue
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
		}
		text.WriteString(line + "\n")
		if strings.Count(line, "$$")%2 == 1 {
			quoted = !quoted
		}
		if statement := strings.TrimSpace(text.String()); !quoted && (strings.HasSuffix(statement, ";") || command.MatchString(statement)) {
			c.statements = append(c.statements, statement)
			text.Reset()
		}
	}
	if text.Len() > 0 && strings.TrimSpace(text.String()) != "" {
		t.Fatalf("%s: the last statement has no end: %q", file, text.String())
	}
	return out
}
