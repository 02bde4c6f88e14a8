// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package checklist_test keeps docs/security-tests.md true.
package checklist_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lines are the lines of the security checklist that the page must have.
var lines = []string{
	"2", "4", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "23", "25", "26", "27", "28", "29", "30", "31",
	"32", "33", "34", "35", "36", "37", "38", "39", "40", "41", "42", "43", "44", "45", "46", "47", "48", "49", "50", "52", "53",
}

var (
	row     = regexp.MustCompile(`(?m)^\| (\d+) \| .+ \| (.+) \|$`)
	folders = regexp.MustCompile("`([a-z0-9/]+)`: ([A-Za-z0-9_, ]+)")
)

// TestSecurityTestsExist: every line names tests that exist, and each of its
// lines is quoted by a test in one of the folders it names.
func TestSecurityTestsExist(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "security-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems(string(page), func(folder string) []byte { return sources(t, filepath.Join(root, folder)) }) {
		t.Errorf("docs/security-tests.md: %s", problem)
	}
}

// TestProblemsAreFound shows that the check says no.
func TestProblemsAreFound(t *testing.T) {
	var rows []string
	for _, line := range lines[1:] {
		rows = append(rows, "| "+line+" | all | `a`: TestHere |")
	}
	source := []byte("// checklist 2, 4, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 23, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 50, 52 and 53\nfunc TestHere(t *testing.T) {\n")
	page := strings.Replace(strings.Join(rows, "\n"), "TestHere", "TestHere, TestGone", 1)
	want := []string{`line 2 is missing`, `line 4 names "TestGone", which is not in "a"`, `line 49 is quoted by no test of its folders`}
	if got := problems(page, func(string) []byte { return source }); !slices.Equal(got, want) {
		t.Errorf("problems: %q, want %q", got, want)
	}
}

// problems checks a page against the sources of the tests in a folder.
func problems(page string, read func(folder string) []byte) []string {
	rows := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(page, -1) {
		rows[match[1]] = match[2]
	}
	var out []string
	for _, line := range lines {
		tests, found := rows[line]
		if !found {
			out = append(out, fmt.Sprintf("line %s is missing", line))
			continue
		}
		quote := regexp.MustCompile(`[Cc]hecklist ?([0-9]+(, | and ))*` + line + `\b|TestChecklist` + line + `[A-Z]`)
		quoted := false
		for _, folder := range folders.FindAllStringSubmatch(tests, -1) {
			source := read(folder[1])
			quoted = quoted || quote.Match(source)
			for name := range strings.SplitSeq(folder[2], ",") {
				if name = strings.TrimSpace(name); !bytes.Contains(source, []byte("\nfunc "+name+"(")) {
					out = append(out, fmt.Sprintf("line %s names %q, which is not in %q", line, name, folder[1]))
				}
			}
		}
		if !quoted {
			out = append(out, fmt.Sprintf("line %s is quoted by no test of its folders", line))
		}
	}
	return out
}

// sources are the test files of a folder, one after the other.
func sources(t *testing.T, folder string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}
