// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/multigres/multigres/go/common/parser"
)

// A text that the server would refuse is refused in the server's words, with the
// place of the error, so that clients show what they show on a direct connection.

// positionOf is a byte offset as ErrorResponse counts: in characters, from 1.
func positionOf(text string, offset int) int {
	return utf8.RuneCountInString(text[:min(offset, len(text))]) + 1
}

// parserPosition finds how far the lexer had come when the parser gave up.
var parserPosition = regexp.MustCompile(`^parse error at position (\d+):`)

// unparsed is the refusal of a text that the lexer took and the parser did not.
func unparsed(text string, tokens []token, cause error) *Error {
	end, ok := stoppedAt(cause)
	if !ok {
		return syntaxError() // not of the grammar: the parser says why in words of its own
	}
	if end == len(text) {
		// Either the last token is wrong, or something is missing behind it. With a
		// blank more, only the latter goes on to the end.
		_, cause = parser.ParseSQL(text + " ")
		if further, _ := stoppedAt(cause); further > end {
			return placed(positionOf(text, len(text)), "syntax error at end of input")
		}
	}
	for i := len(tokens) - 1; i >= 0; i-- {
		if tokens[i].pos < end {
			return placed(positionOf(text, tokens[i].pos), `syntax error at or near "`+repeated(tokens[i])+`"`)
		}
	}
	return syntaxError()
}

func stoppedAt(cause error) (end int, ok bool) {
	if cause == nil {
		return 0, false
	}
	found := parserPosition.FindStringSubmatch(cause.Error())
	if found == nil {
		return 0, false
	}
	end, err := strconv.Atoi(found[1])
	return end, err == nil
}

// unscanned is the refusal of a text whose lexer gave up behind its last token.
func unscanned(text string, tokens []token) *Error {
	end := 0
	if len(tokens) > 0 {
		last := tokens[len(tokens)-1]
		end = last.pos + len(last.text)
	}
	if end > len(text) {
		return syntaxError()
	}
	start := end + len(text[end:]) - len(strings.TrimLeft(text[end:], " \t\r\n\f\v"))
	rest := text[start:]
	for _, kind := range []struct{ opening, what string }{
		{"'", "unterminated quoted string"}, {`"`, "unterminated quoted identifier"}, {"/*", "unterminated /* comment"},
	} {
		if strings.HasPrefix(rest, kind.opening) {
			return placed(positionOf(text, start), kind.what+` at or near "`+kind.opening+`…"`)
		}
	}
	return syntaxError()
}

func placed(position int, message string) *Error {
	return &Error{SQLSTATE: StateSyntaxError, Message: message, Position: position}
}

// repeated is what a message says of a token. Refusals go on record, so that
// constants are left out.
func repeated(t token) string {
	switch t.kind {
	case parser.SCONST, parser.USCONST, parser.BCONST, parser.XCONST, parser.ICONST, parser.FCONST:
		return "…"
	}
	return t.text
}

// locate says where in the text a name stands that nothing is known of.
func locate(err error, text string, part []token) {
	var unknown *UnknownRelationError
	if !errors.As(err, &unknown) || unknown.Refusal.Position > 0 {
		return
	}
	function := unknown.Refusal.SQLSTATE == StateUndefinedFunction
	first := -1
	for i, t := range part {
		if !t.isName || t.name != unknown.Name {
			continue
		}
		start := i
		if unknown.Schema != "" {
			if i < 2 || part[i-1].kind != '.' || part[i-2].name != unknown.Schema {
				continue
			}
			start = i - 2
		}
		if first < 0 {
			first = start
		}
		if function && i+1 < len(part) && part[i+1].kind == '(' || !function && start > 0 && introduces(part[start-1].kind) {
			first = start
			break
		}
	}
	if first >= 0 {
		unknown.Refusal.Position = positionOf(text, part[first].pos)
	}
}

// introduces says that the name of a relation may follow a token.
func introduces(kind int) bool {
	switch kind {
	case parser.FROM, parser.JOIN, parser.INTO, parser.UPDATE, parser.TABLE, parser.ONLY, parser.USING, parser.ON, ',', '(':
		return true
	}
	return false
}
