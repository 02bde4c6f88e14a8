// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// What the parser takes and PostgreSQL's own does not (checklist 11).
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, text, message string }{
		"NoEnd":      {"the parser takes it for an empty constant", "SELECT $é$", "unterminated dollar-quoted string"},
		"NoEndInner": {"and its error may get lost", "SELECT 1 $$ ; SELECT 2", "syntax error"},
		"Backslash":  {"the parser takes it for an operator", `SELECT 1\2`, "syntax error"},
		"Brace":      {"", "SELECT {1", "syntax error"},
		"Zero":       {"the constant holds a zero byte", `SELECT E'\0'`, "not valid UTF-8"},
		"ZeroX":      {"", `SELECT E'\x00'`, "not valid UTF-8"},
		"Half":       {"the constant is no UTF-8", `SELECT E'\xc3'`, "not valid UTF-8"},
		"Octal":      {"the parser takes each byte for a character", `SELECT E'a\\\303\251'`, "not valid UTF-8"},
		"TypeArray":  {"name[1] is no type", "SELECT id[1] 'x' FROM orders", "syntax error"},
		"National":   {"N'x' is a keyword and a constant on the server", "SELECT id N'x' FROM orders", "syntax error"},
		"StarType":   {"relation.* is no type", "SELECT orders.* '' FROM orders", "syntax error"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sql.Analyze(tc.text, smallCatalog(t), options())
			if err == nil || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("%s: %q: %v, want %q", tc.reason, tc.text, err, tc.message)
			}
		})
	}
	for _, text := range []string{"SELECT $é$x$é$", "SELECT $$$$", "SELECT N'x'", "SELECT id FROM orders WHERE name = N'x' AND N'y' = name", `SELECT E'\\xc3\\300 \x41\101\7'`, `SELECT 'a\b{'`} {
		if _, err := sql.Analyze(text, smallCatalog(t), options()); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The server looks substring(x, 1) up in the path; the parser says that it is the
// built-in one, as it is for substring(x FROM 1) (checklist 11).
func TestSubstringOfThePath(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"substring(total, 1, 2)", "overlay(total, 1, 2)"} {
		name, _, _ := strings.Cut(call, "(")
		all, err := sql.Analyze("SELECT "+call+" FROM orders", smallCatalog(t), options())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(all[0].Accesses, func(a sql.Access) bool {
			return a.Action == sql.ActionExecute && strings.HasPrefix(a.Resource, "public."+name)
		}) {
			t.Errorf("%s: a function of users is not among the accesses: %v", call, all[0].Accesses)
		}
	}
}

// The parser's stack is shared: what another text has left on it must not become
// an option of COPY (checklist 11).
func TestCopyOptionsAreItsOwn(t *testing.T) {
	t.Parallel()
	leftovers := append(append([]string{}, honest...), evasions...)
	leftovers = append(leftovers, awkward...)
	for _, text := range leftovers { // where the parser gives up, more of it stays behind
		for i, c := range text {
			if c == ' ' {
				leftovers = append(leftovers, text[:i])
			}
		}
	}
	cat := smallCatalog(t)
	want := func(text string, binary, csv bool) {
		t.Helper()
		all, err := sql.Analyze(text, cat, options())
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if c := all[0].Effects.Copy; c == nil || c.Binary != binary || c.CSV != csv {
			t.Fatalf("%q: %+v", text, c)
		}
	}
	for _, before := range leftovers {
		_, _ = sql.Outlines(before)
		outlines, err := sql.Outlines("COPY (TABLE orders) TO STDOUT")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(outlines); got != "[{CopyStmt 0 29 [orders] [] [*] []}]" {
			t.Fatalf("after %q: %s", before, got)
		}
		want("COPY (TABLE orders) TO STDOUT", false, false)
		want("COPY (SELECT id FROM orders) TO STDOUT", false, false)
		want("COPY (SELECT id FROM orders) TO STDOUT (FORMAT csv)", false, true)
		want("COPY (SELECT id FROM orders) TO STDOUT WITH (FORMAT binary)", true, false)
	}
}
