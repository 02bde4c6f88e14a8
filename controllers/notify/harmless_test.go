// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestHarmless is checklist 37: what a requester wrote deceives nobody who reads it in a chat.
func TestHarmless(t *testing.T) {
	cases := map[string]struct {
		reason     string
		text, want string
		markup     v1alpha1.NotifierMarkup
	}{
		"Text":          {"text stays text", "INC-4711, größer", "INC-4711, größer", v1alpha1.MarkupPlain},
		"ANSI":          {"an escape sequence would erase a line of a terminal", "a\x1b[2Kb", `a\u{1b}[2Kb`, v1alpha1.MarkupPlain},
		"Override":      {"an override would turn the text around", "a\u202eb", `a\u{202e}b`, v1alpha1.MarkupPlain},
		"ZeroWidth":     {"what shows nothing could hide a difference", "a\u200bb\ufeff", `a\u{200b}b\u{feff}`, v1alpha1.MarkupPlain},
		"Space":         {"a wide blank could push text out of sight", "a\u2003b\u00a0", `a\u{2003}b\u{a0}`, v1alpha1.MarkupPlain},
		"Line":          {"a line of its own could look like ours", "a\nApproved by bob", `a\nApproved by bob`, v1alpha1.MarkupPlain},
		"NotUTF8":       {"bytes that are no text", "a\xff", `a\x{ff}`, v1alpha1.MarkupPlain},
		"SlackMention":  {"nobody is called by a requester", "<!channel> & <@U1>", "&lt;!channel&gt; &amp; &lt;@U1&gt;", v1alpha1.MarkupSlack},
		"SlackLink":     {"a link could be named Approve", "<https://evil.example|Approve>", `&lt;https:\u{2f}/evil.example|Approve&gt;`, v1alpha1.MarkupSlack},
		"SlackCode":     {"a span of code must not end", "```*done*", `\u{60}\u{60}\u{60}*done*`, v1alpha1.MarkupSlack},
		"SlackEntity":   {"an entity that was written is shown as it was", "&lt;", "&amp;lt;", v1alpha1.MarkupSlack},
		"MarkdownLink":  {"a link could be named Approve", "[Approve](https://evil.example)", `\[Approve\]\(https\:\/\/evil\.example\)`, v1alpha1.MarkupMarkdown},
		"MarkdownHTML":  {"Markdown takes HTML", "<b>&amp;", `\<b\>\&amp\;`, v1alpha1.MarkupMarkdown},
		"MarkdownSlash": {"an escape must not be escaped", `\*a*`, `\\\*a\*`, v1alpha1.MarkupMarkdown},
		"HTML":          {"tags and entities", `<a href="x">&`, "&lt;a href=&#34;x&#34;&gt;&amp;", v1alpha1.MarkupHTML},
		"Unknown":       {"what is not known is taken for the most that there is", "<b>", "&lt;b&gt;", "Later"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got, cut := harmless(c.text, c.markup, 1000); got != c.want || cut {
				t.Errorf("%s: harmless(%q) = %q, cut %t, want %q", c.reason, c.text, got, cut, c.want)
			}
		})
	}
}

// TestHarmlessIsBounded: however much a text grows by being escaped, it keeps its bound, and
// no escape is cut.
func TestHarmlessIsBounded(t *testing.T) {
	for _, markup := range []v1alpha1.NotifierMarkup{v1alpha1.MarkupPlain, v1alpha1.MarkupSlack, v1alpha1.MarkupMarkdown, v1alpha1.MarkupHTML} {
		for _, unit := range []string{"a", "ä", "&", "\u202e", "[", "\xff", `\`} {
			text := strings.Repeat(unit, 3000)
			for _, limit := range []int{40, 41, 42, 43, 44, 45, 46, 47, 48} {
				got, cut := harmless(text, markup, limit)
				whole, _ := harmless(unit, markup, 100)
				if !cut || len(got) > limit || !utf8.ValidString(got) || strings.ReplaceAll(strings.TrimSuffix(got, cutMark), whole, "") != "" {
					t.Errorf("%s, %q, at most %d: %q", markup, unit, limit, got)
				}
			}
			if got, cut := harmless(unit, markup, 100); cut || strings.HasSuffix(got, cutMark) {
				t.Errorf("%s, %q: cut though it fits: %q", markup, unit, got)
			}
		}
	}
	if got, cut := harmless("abcdef", v1alpha1.MarkupPlain, 6); got != "abcdef" || cut {
		t.Errorf("what just fits was cut: %q", got)
	}
}

func TestLookAlikes(t *testing.T) {
	got, cut := lookAlikes("аdmin", "ädmin ä", "plain")
	if strings.Join(got, " ") != "U+0430 U+00E4" || cut {
		t.Errorf("lookAlikes: %q, cut %t", got, cut)
	}
	if got, cut := lookAlikes(strings.Repeat("абвгдежзий", 2)); len(got) != maxLookAlikes || !cut {
		t.Errorf("%d characters are named, at most %d should be; cut %t", len(got), maxLookAlikes, cut)
	}
}
