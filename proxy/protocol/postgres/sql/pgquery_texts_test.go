// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var quoted = regexp.MustCompile(`(?s)"[^"]*"|\d+`)

// ownTexts are the texts of this project's tests: lists of this package, and the
// corpora below test/conformance, whole and statement by statement.
func ownTexts(t *testing.T) []string {
	t.Helper()
	out := append(append([]string{}, honest...), evasions...)
	for _, text := range benchmarks {
		out = append(out, text)
	}
	out = append(out, awkward...)
	files, err := filepath.Glob("../../../../test/conformance/*/testdata/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../../../test/conformance/*/testdata/*/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(content))
		for _, block := range strings.Split(string(content), "\n----\n") {
			out = append(out, block)
			out = append(out, strings.SplitAfter(block, ";\n")...)
		}
	}
	return out
}

// regressionTexts are the statements of PostgreSQL's regression tests, as the SQL
// parser's own test data has them.
func regressionTexts(t *testing.T) []string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/multigres/multigres").Output()
	if err != nil {
		t.Fatalf("cannot find the SQL parser's module: %v", err)
	}
	data := filepath.Join(strings.TrimSpace(string(dir)), "go", "common", "parser", "testdata")
	var files []string
	for _, pattern := range []string{"*.json", "postgres/*.json"} {
		some, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil || len(some) == 0 {
			t.Fatalf("the SQL parser's module has no test data %q: %v", pattern, err)
		}
		files = append(files, some...)
	}
	var out []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Query string `json:"query"`
		}
		if err := json.Unmarshal(content, &cases); err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		for _, c := range cases {
			out = append(out, c.Query)
		}
	}
	return out
}

// awkward are texts at the edges of the lexer.
var awkward = []string{
	"", ";", " ;;\t; ", "-- only this", "/* only this */", "SELECT 1;;SELECT 2", "SELECT 1 -- a\n;SELECT 2/* ; */", "SELECT 'a'\n'b'", "SELECT 'a' 'b'",
	"SELECT 'a' -- x\n 'b'", "SELECT 'a'/* x */\n'b'", "SELECT e'a'\n'\\''", "SELECT E'\\x41\\101\\u0041\\U00000041'", "SELECT E'\\ud83d\\ude00'", "SELECT E'\\0'",
	"SELECT U&'d\\0061t' UESCAPE '!'", "SELECT U&'!0061' UESCAPE '!'", "SELECT U&\"d\\0061ta\" FROM t", "SELECT U&\"d!0061ta\" /* c */ UESCAPE -- x\n '!' FROM t",
	"SELECT $$a$$, $b$;$b$, $b$ $$ $b$", "SELECT $1, $2a", "SELECT a$b$c$b$", "SELECT 1$$a$$", "SELECT $é$;$é$", "SELECT /* /* */ ; */ 1", "SELECT 1 /*/ ; */",
	"SELECT 1--+2", "SELECT 1 @-- x\n 2", "SELECT 1 +-/* */ 2", "SELECT 0x1F, 0o17, 0b11, 1_000, 1e5, .5, 5.", "SELECT 1_", "SELECT 1..2", "SELECT b'01', x'1f', n'x'",
	"SELECT \"a\"\"b\" FROM \"T\"", "SELECT \"\" FROM t", "SELECT * FROM a.b.c", "SELECT * FROM a.b.c.d", "SELECT a.b.c.d.e.f", "SELECT \"a\rb\"", "SELECT 'a\rb'",
	"SELECT\u00a01", "SELECT\u20031", "\ufeffSELECT 1", "SELECT \u00e9 FROM t", "SELECT 1\v+\f2", "SELECT a\\b", "SELECT '\\'; SELECT 2 --'",
	"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
	"SELECT a FROM t; /* x */ ; SELECT b FROM u -- end", "BEGIN; COMMIT AND CHAIN; END", "((SELECT 1)); (SELECT 2)", "SELECT (1", "SELECT 1)", "SELECT ';", "SELECT \";",
}

// mutator makes texts out of others.
type mutator struct {
	r     *rand.Rand
	seeds []string
}

// pieces are put in anywhere.
var pieces = []string{
	";", "'", "''", "\"", "\"\"", "$$", "$a$", "$1", "$0", "--", "-- x\n", "/*", "*/", "/* ; */", "/*/**/", "\\", "\\'", "E'", "e'\\'", "U&'", "U&\"", "u&'\\0041'", " UESCAPE '!'",
	"uescape '\\'", "N'x'", "B'1'", "X'f'", "\x00", "\n", "\r", "\t", "\v", "\f", "\u00a0", "\u2028", "\u3000", "\ufeff", "\u200b", "\u00e9", "\u212a", "\u0130", "\xff", ".", "..", ":", "::", ":=", "=>",
	"(", ")", "[", "]", ",", "*", "+", "-", "@", "?", "#", "~", "%", "^", "&", "|", "`", "{", "}", "0x", "1e", "1_0", ".5", "1a", " ", " AS ", " UNION ALL ", " BEGIN ATOMIC ", " END", " SELECT ", " ONLY ",
	" a.b.c ", " NULL ", " FROM ", " WHERE ", " INTO ", " WITH ", "\"a\rb\"", "; SELECT 2; ", "; DROP TABLE t", "'\n'", "'--\n'", "'/*x*/\n'", "$a$;$a$", "pg_catalog.", "OPERATOR(pg_catalog.+)",
}

func (m *mutator) seed() string { return m.seeds[m.r.IntN(len(m.seeds))] }

func (m *mutator) text() string {
	text := m.seed()
	for len(text) > 2000 {
		text = m.seed()
	}
	for range 1 + m.r.IntN(3) {
		text = m.step(text)
	}
	return text
}

func (m *mutator) step(text string) string {
	at := m.r.IntN(len(text) + 1)
	to := at + m.r.IntN(len(text)-at+1)
	switch m.r.IntN(9) {
	case 0:
		return text[:at]
	case 1:
		return text[at:]
	case 2:
		return text[:at] + text[to:]
	case 3:
		return text + []string{";", " ", "", "\n", "; -- x\n", ";/* x */", " UNION "}[m.r.IntN(7)] + m.seed()
	case 4:
		return text[:at] + strings.ToUpper(text[at:to]) + text[to:]
	case 5:
		return text[:at] + text[at:to] + text[at:to] + text[to:]
	case 6: // a word of another text
		if words := strings.Fields(m.seed()); len(words) > 0 {
			return text[:at] + " " + words[m.r.IntN(len(words))] + " " + text[at:]
		}
		return text
	default:
		return text[:at] + pieces[m.r.IntN(len(pieces))] + text[at:]
	}
}
