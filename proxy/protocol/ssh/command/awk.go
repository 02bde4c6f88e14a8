// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// awk reads programs that compute and print: system(), pipes and redirections run commands and
// write files.
func awk(r *reader, _ spot, c *Command) {
	given, rest, ok := r.split(c, c.Args, grammar{valued: "Fv", words: set("field-separator= assign= version help posix")})
	if !ok {
		return
	}
	for _, o := range given {
		if o.value.Form > Partial {
			r.unknown(ReasonExpansion, c.Name, "an option of awk may be several words: put it into quotes")
			return
		}
	}
	if len(rest) == 0 {
		return
	}
	if rest[0].Form != Literal || !awkProgram(rest[0].Text) {
		r.unknown(ReasonProgram, c.Name, "the program %s may run commands or write files: let it compute and print only", quote(rest[0].Text))
	}
	for _, w := range rest[1:] {
		if !operand(w) && (w.Form != Literal || w.Text != "-") {
			r.unknown(ReasonExpansion, c.Name, "awk has an argument that may be an option: write it out, with ./ before a pattern")
		}
	}
}

// awkProgram says that a program has no way to run or write: no system, no getline, no @ of gawk, no
// pipe where there is anything to be piped, no ">" within braces but to compare.
func awkProgram(s string) bool {
	for _, word := range []string{"system", "getline", "@", "\\\n", "close", "fflush", "printf >", "print >"} {
		if strings.Contains(s, word) {
			return false
		}
	}
	if strings.Contains(s, "print") && strings.Contains(strings.ReplaceAll(s, "||", ""), "|") {
		return false
	}
	open := strings.IndexByte(s, '{')
	return open < 0 || !strings.Contains(s[open:], ">") || compares(s)
}

// compares says that each ">" stands within parentheses, where it compares. What has strings, patterns or
// comments, in which parentheses are none, is not looked at.
func compares(s string) bool {
	if strings.ContainsAny(s, "\"/#\\") {
		return false
	}
	depth := 0
	for _, c := range s {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '>' && depth <= 0:
			return false
		}
	}
	return true
}
