// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
)

// cutMark ends a text that was cut.
const cutMark = "…"

// harmless makes text of somebody else fit to be shown by a receiver: on one line, what
// could deceive visible as \u{hex}, line feeds as \n, bytes that are not UTF-8 as \x{hex},
// and what is markup to the receiver escaped as it asks for. The result has at most limit
// bytes and is never cut within an escape; cut says that something is missing.
func harmless(text string, markup v1alpha1.NotifierMarkup, limit int) (shown string, cut bool) {
	var b strings.Builder
	fits := 0 // what is left where it has to be cut
	for rest, before := text, ' '; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(escaped(fmt.Sprintf(`\x{%x}`, rest[0]), markup))
		case r == '\n':
			b.WriteString(escaped(`\n`, markup))
		case record.Deceives(r), markup == v1alpha1.MarkupSlack && (r == '`' || r == '/' && before == ':'):
			b.WriteString(escaped(fmt.Sprintf(`\u{%x}`, r), markup))
		default:
			b.WriteString(escaped(rest[:size], markup))
		}
		if b.Len() <= limit-len(cutMark) {
			fits = b.Len()
		}
		if b.Len() > limit {
			return b.String()[:fits] + cutMark, true
		}
		rest, before = rest[size:], r
	}
	return b.String(), false
}

// escaped are characters as the receiver shows them literally.
func escaped(text string, markup v1alpha1.NotifierMarkup) string {
	switch markup {
	case v1alpha1.MarkupSlack:
		// Links, mentions and dates are written with these three. A backtick, which would end
		// a span of code, has no escape, and neither has what makes a link of a bare address.
		return slackEscapes.Replace(text)
	case v1alpha1.MarkupMarkdown:
		// CommonMark 0.31, section 2.4: any ASCII punctuation may be escaped.
		var b strings.Builder
		for _, r := range text {
			if r < utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r)) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
		return b.String()
	case v1alpha1.MarkupHTML:
		return html.EscapeString(text)
	case v1alpha1.MarkupPlain:
		return text
	}
	return html.EscapeString(text)
}

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// maxLookAlikes bounds how many characters lookAlikes names.
const maxLookAlikes = 8

// lookAlikes names the characters of texts that can pass for others, as U+0430; cut says that
// there are more.
func lookAlikes(texts ...string) (names []string, cut bool) {
	found := record.LookAlikes(texts...)
	names = []string{}
	for _, r := range found[:min(len(found), maxLookAlikes)] {
		names = append(names, fmt.Sprintf("U+%04X", r))
	}
	return names, len(found) > maxLookAlikes
}
