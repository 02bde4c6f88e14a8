// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"
	"unicode/utf8"
)

// checkText refuses bytes that shells, locales or C strings read differently, and what
// would be too much to parse.
func checkText(text string) *Unknown {
	switch {
	case len(text) > MaxBytes:
		return textual(ReasonLimit, "the line is longer than 32 KiB: put it into a script of the target")
	case !utf8.ValidString(text):
		return textual(ReasonText, "the line is not UTF-8: write other bytes as printf escapes")
	case strings.HasSuffix(text, "\\"):
		return textual(ReasonText, "the line ends with a backslash: remove it, or write what follows")
	}
	if strings.Contains(text, "\\\n") && (strings.Contains(text, "#") || strings.Contains(text, "<<")) {
		// Shells do not continue a comment, but the parser that reads it here does. In here-documents
		// the end may be continued, or not.
		return textual(ReasonText, "the line is continued, and may have a comment or a here-document: leave one out")
	}
	depth, level := 0, 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c == 0:
			return textual(ReasonText, "the line has a NUL, at which the target would cut it: remove it")
		case c == '\n' && i > 0 && text[i-1] == '\\' && !joins(text, i-1):
			return textual(ReasonText, "a line is continued within a word: break it after a blank")
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			return textual(ReasonText, "the line has the control character %#02x: write it as a printf escape", c)
		case c >= utf8.RuneSelf && i+1 < len(text) && strings.IndexByte("\\`|{}[]^~@", text[i+1]) >= 0:
			// In locales such as Shift_JIS, the two would be one character.
			return textual(ReasonText, "a character that is not ASCII stands before %q: put it into quotes, or a blank between", text[i+1])
		case c == '(' || c == '{' || c == '[':
			level++
			depth = max(depth, level)
		case (c == ')' || c == '}' || c == ']') && level > 0:
			level--
		}
	}
	if depth > 2*MaxNesting {
		return textual(ReasonLimit, "the line opens more than %d brackets within each other: write it with less nesting", 2*MaxNesting)
	}
	if openings(text) > 1000 {
		return textual(ReasonLimit, "the line opens more than 1000 compound commands: put it into a script of the target")
	}
	return spaces(text)
}

// openings is how many words a long text has for which the parser goes deeper, and so takes stack.
func openings(text string) int {
	if len(text) < 4<<10 {
		return 0
	}
	n := 0
	for _, word := range []string{"if", "while", "until", "case", "for", "time", "!", "`", "()"} {
		n += strings.Count(text, word)
	}
	return n
}

// joins says that the backslash at i, before a line's end, stands between words, where all
// shells read it alike: after a blank.
func joins(text string, i int) bool {
	return i > 0 && (text[i-1] == ' ' || text[i-1] == '\t')
}

// spaces refuses characters that some locale takes for blanks.
func spaces(text string) *Unknown {
	for _, c := range text {
		if c >= 0x80 && c < 0xa1 || c == 0x1680 || c >= 0x2000 && c <= 0x200f || c >= 0x2028 && c <= 0x202f ||
			c == 0x205f || c == 0x3000 || c == 0xfeff || c == utf8.RuneError {
			return textual(ReasonText, "the line has the blank or invisible character %U: write it as a printf escape", c)
		}
	}
	return nil
}

func textual(reason Reason, format string, args ...any) *Unknown {
	l := unread(reason, format, args...)
	return &l.Unknown[0]
}

// set makes a set of words.
func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// identifier says that s is a name of a variable.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// digits says that s is a number without a sign.
func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
