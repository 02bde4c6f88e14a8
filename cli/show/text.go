// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package show is how the plugin's verbs show what they read: tables, details of one
// object, and the formats that kubectl has. Texts that others wrote are made harmless to
// terminals and readers on the way.
package show

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/doorward/doorward/proxy/record"
)

// Safe makes control and invisible characters of a text visible, as \u{hex}; bytes that
// are not UTF-8 become \x{hex}. Line feeds are such characters, too.
func Safe(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, record.Deceives) < 0 {
		return text
	}
	var b strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x{%x}`, text[0])
		case record.Deceives(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	return b.String()
}

// Line is a text for one line: white space is one blank, and what could deceive is visible.
func Line(text string) string { return Safe(strings.Join(strings.Fields(text), " ")) }

// Lines is a text for several lines, each behind a prefix. Line feeds and tabs stay what
// they are; a carriage return before a line feed belongs to it.
func Lines(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		b.WriteString(prefix + Safe(strings.ReplaceAll(line, "\t", "    ")) + "\n")
	}
	return b.String()
}

// Bounded is a line of at most limit characters. What is left out is told by an ellipsis.
func Bounded(text string, limit int) string {
	text = Line(text)
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	return string(runes[:limit-1]) + "…"
}

// lookAlikesShown bounds how many characters LookAlikes names.
const lookAlikesShown = 8

// LookAlikes names the letters and marks of texts that are not ASCII, each once, as
// "а" (U+0430). Such letters can pass for others.
func LookAlikes(texts ...string) string {
	found := record.LookAlikes(texts...)
	names := make([]string, 0, lookAlikesShown+1)
	for _, r := range found[:min(len(found), lookAlikesShown)] {
		names = append(names, fmt.Sprintf("%q (U+%04X)", string(r), r))
	}
	if more := len(found) - lookAlikesShown; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
