// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/multigres/multigres/go/common/parser"
)

// checkToken refuses what the parser's lexer takes and the server's does not:
// dollar quotes without an end, characters that begin no token, and constants
// whose escapes make a zero byte or no UTF-8.
func checkToken(t *parser.Token, text string) *Error {
	wrong := func(format, what string) *Error {
		return placed(positionOf(text, t.Position), strings.ReplaceAll(format, "%", what))
	}
	switch first := t.Text[:min(1, len(t.Text))]; {
	case first == "$" && t.Type != parser.PARAM:
		second := strings.IndexByte(t.Text[1:], '$') + 2
		if second < 2 {
			return wrong(`syntax error at or near "%"`, first)
		}
		if delimiter := t.Text[:second]; len(t.Text) < 2*len(delimiter) || !strings.HasSuffix(t.Text, delimiter) {
			return wrong(`unterminated dollar-quoted string at or near "%…"`, delimiter)
		}
	case first == `\` || first == "{" || first == "}":
		return wrong(`syntax error at or near "%"`, first)
	}
	switch t.Type {
	case parser.SCONST, parser.USCONST:
		if strings.IndexByte(t.Value.Str, 0) >= 0 || !utf8.ValidString(t.Value.Str) || highEscape.MatchString(t.Text) {
			return refuse(StateInvalidEncoding, "Correct the escapes of the constant.", "string constant is not valid UTF-8, or has escapes for single bytes of it")
		}
	}
	return nil
}

// highEscape finds bytes from 0x80 on, in hexadecimal or octal, in a constant E”:
// the server joins them to characters, the parser takes each for one.
var highEscape = regexp.MustCompile(`(?s)^[eE]'(?:[^\\]|\\[^x2-7]|\\x[0-7]?[^0-9a-fA-F]|\\x[0-7][0-9a-fA-F]|\\[2-7](?:[^0-7]|[0-7][^0-7]))*?\\(?:x[89a-fA-F][0-9a-fA-F]|[2-7][0-7][0-7])`)

// checkFollows refuses constants where the server's grammar has none: N'x' is a
// keyword and a constant there, so that it only begins an expression, and nothing
// of relation.* or name[1] is the name of a type.
func checkFollows(t *parser.Token, before []token, text string) *Error {
	if t.Type != parser.SCONST || len(before) == 0 {
		return nil
	}
	last := before[len(before)-1]
	refused := last.kind == ']' || last.kind == '*' && len(before) > 1 && before[len(before)-2].kind == '.'
	if t.Text != "" && (t.Text[0] == 'N' || t.Text[0] == 'n') {
		switch last.kind {
		case ')', ']', parser.PARAM, parser.SCONST, parser.USCONST, parser.ICONST, parser.FCONST, parser.BCONST, parser.XCONST:
			refused = true
		}
		refused = refused || last.isName && !beforeExpression[last.kind]
	}
	if refused {
		return placed(positionOf(text, t.Position), "syntax error at or near a string constant")
	}
	return nil
}

// beforeExpression are the keywords that an expression may follow at once.
var beforeExpression = map[int]bool{
	parser.SELECT: true, parser.DISTINCT: true, parser.ALL: true, parser.WHERE: true, parser.HAVING: true, parser.ON: true, parser.BY: true,
	parser.AND: true, parser.OR: true, parser.NOT: true, parser.LIKE: true, parser.ILIKE: true, parser.BETWEEN: true, parser.FROM: true,
	parser.CASE: true, parser.WHEN: true, parser.THEN: true, parser.ELSE: true, parser.RETURNING: true, parser.DEFAULT: true,
}
