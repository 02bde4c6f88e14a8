// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"cmp"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/multigres/multigres/go/common/parser"
)

// maxIdentifier is NAMEDATALEN-1: the server cuts longer names, so that two
// names may turn out to be one.
const maxIdentifier = 63

// token is one lexical element. For identifiers and keywords name is what the
// server makes of it: folded, unquoted, escapes resolved.
type token struct {
	kind   int
	name   string
	text   string
	pos    int
	isName bool
}

// checkText refuses what the server or the lexer may read in two ways.
func checkText(text string, limit int) *Error {
	if limit <= 0 {
		limit = DefaultMaxBytes
	}
	if len(text) > limit {
		return refuse(StateProgramLimitExceeded, "Send smaller statements, or load data with COPY.",
			"statement is too large: %d bytes, at most %d are allowed", len(text), limit)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return refuse(StateInvalidEncoding, "Remove the zero byte.", "statement contains a zero byte")
	}
	if !utf8.ValidString(text) {
		return refuse(StateInvalidEncoding, "Set client_encoding to UTF8 and send UTF-8.", "statement is not valid UTF-8")
	}
	// Counted wherever they stand: what is a comment only the lexer could tell.
	if n := strings.Count(text, "--") + strings.Count(text, "/*"); n > maxComments {
		return refuse(StateTooComplex, "Remove comments.", "statement may hold too many comments: %d, at most %d are allowed", n, maxComments)
	}
	if n := pieces(text); n > maxPieces/max(len(text), 1) {
		return refuse(StateTooComplex, "Write each string constant in one piece, or send it as a parameter.",
			"statement may hold string constants in too many pieces: %d in %d bytes", n, len(text))
	}
	return nil
}

// maxPieces bounds the bytes that the lexer copies where constants go on after a
// line's end ('a' newline 'b'): as it reads each piece, all those before it.
const maxPieces = 1 << 31

// pieces counts where a string constant may go on, wherever that stands.
func pieces(text string) (n int) {
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "'")
		if !found {
			return n
		}
		rest = after
		next := strings.TrimLeft(rest, " \t\n\r\f")
		goesOn := strings.HasPrefix(next, "'") || strings.HasPrefix(next, "E'") || strings.HasPrefix(next, "e'")
		if goesOn && strings.ContainsAny(rest[:len(rest)-len(next)], "\n\r") {
			n++
		}
		rest = next
	}
}

// Bounds on what a text is made of. The parser's tree takes some hundred bytes
// for each token, and its lexer a level of the stack for each comment of a row.
const (
	maxTokens   = 500_000
	maxComments = 20_000
	// maxOperator is the length of a row of operators' characters, which the lexer
	// reads anew for each operator of it. The server's own names have at most 63.
	maxOperator = 256
	// maxDollars bounds the bytes that the lexer copies: for each dollar-quoted
	// constant, all that is behind it.
	maxDollars = 1 << 32
	// maxDoubts bounds the bytes that the parser counts to say where it has met what
	// it does not take: at each word of doubtful, all that is before it.
	maxDoubts = 1 << 34
)

// doubtful are words whose grammar lets the parser go on behind an error, which it
// tells once for each.
var doubtful = map[int]bool{
	parser.NULL_P: true, parser.ISNULL: true, parser.NOTNULL: true, parser.UNIQUE: true,
	parser.LIMIT: true, parser.UNBOUNDED: true, parser.FOLLOWING: true,
}

const operatorChars = "~!@#^&|`?+-*/%<>="

// scan turns the text into tokens with the parser's own lexer.
func scan(text string) ([]token, *Error) {
	lexer := parser.NewLexer(text)
	var out []token
	quoted, doubts := 0, 0
	for {
		t := lexer.NextToken()
		if lexer.HasErrors() || t != nil && t.Type == parser.INVALID {
			return nil, unscanned(text, out)
		}
		if t == nil || t.Type == parser.EOF {
			return out, nil
		}
		if len(out) >= maxTokens {
			return nil, refuse(StateTooComplex, "Send fewer rows in one statement, or load them with COPY.",
				"statement is made of too many words: at most %d are allowed", maxTokens)
		}
		if t.Text != "" && strings.IndexByte(operatorChars, t.Text[0]) >= 0 && longOperator(text[min(t.Position, len(text)):]) {
			return nil, refuse(StateTooComplex, "Put spaces between operators.", "operator too long: at most %d characters in a row are allowed", maxOperator)
		}
		if strings.HasPrefix(t.Text, "$") && t.Type != parser.PARAM {
			if quoted += len(text) - t.Position; quoted > maxDollars {
				return nil, refuse(StateTooComplex, "Send fewer dollar-quoted constants in one text.", "text has too many dollar-quoted constants")
			}
		}
		if err := cmp.Or(checkToken(t, text), checkFollows(t, out, text)); err != nil {
			return nil, err
		}
		if n := len(out); doubtful[t.Type] && (t.Type != parser.NULL_P || n > 0 && (out[n-1].kind == parser.IS || out[n-1].kind == parser.NOT)) {
			if doubts += t.Position; doubts > maxDoubts {
				return nil, refuse(StateTooComplex, "Send smaller statements.", "text has too many words such as %q", t.Text)
			}
		}
		k := token{kind: t.Type, text: t.Text, pos: t.Position}
		switch {
		case t.Value.Keyword != "":
			k.isName, k.name = true, t.Value.Keyword
		case t.Type == parser.IDENT:
			k.isName, k.name = true, t.Value.Str
			if err := checkIdentifier(k); err != nil {
				return nil, err
			}
		}
		out = append(out, k)
	}
}

// longOperator says whether a text begins with a row of operators' characters that
// is too long. Comments end one.
func longOperator(text string) bool {
	for i := range len(text) {
		if strings.IndexByte(operatorChars, text[i]) < 0 || strings.HasPrefix(text[i:], "--") || strings.HasPrefix(text[i:], "/*") {
			return false
		}
		if i >= maxOperator {
			return true
		}
	}
	return false
}

func syntaxError() *Error {
	return refuse(StateSyntaxError, "Check the statement's syntax; what cannot be parsed is not forwarded.",
		"statement cannot be parsed")
}

// checkIdentifier refuses identifiers that the lexer and the server may not
// agree upon.
func checkIdentifier(k token) *Error {
	if len(k.name) > maxIdentifier {
		return refuse(StateInvalidName, "Use a shorter name or alias.",
			"identifier is longer than %d bytes: %q", maxIdentifier, k.name)
	}
	for _, r := range k.name {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return refuse(StateInvalidName, "Rename the object, or use another name.",
				"identifier contains a control character: %q", k.name)
		}
	}
	quoted := strings.HasPrefix(k.text, `"`) || len(k.text) > 2 && k.text[1] == '&'
	if !quoted && foldASCII(k.text) != k.name {
		return refuse(StateInvalidName, "Write the identifier in double quotes.",
			"identifier cannot be folded to lower case safely: %q", k.name)
	}
	return nil
}

// foldASCII folds as the server does in a multibyte encoding: ASCII only.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// split cuts the tokens into statements at semicolons outside parentheses. ok
// is false where a function body of SQL statements makes that unreliable.
func split(tokens []token) (parts [][]token, ok bool) {
	ok = true
	depth, start := 0, 0
	for i, t := range tokens {
		switch t.kind {
		case '(':
			depth++
		case ')':
			depth--
		case ';':
			if depth == 0 {
				if i > start {
					parts = append(parts, tokens[start:i])
				}
				start = i + 1
			}
		case parser.ATOMIC:
			if i > 0 && tokens[i-1].kind == parser.BEGIN_P {
				ok = false
			}
		}
	}
	if start < len(tokens) {
		parts = append(parts, tokens[start:])
	}
	return parts, ok
}

var uescape = regexp.MustCompile(`^(?is)(?:\s|--[^\r\n]*[\r\n]|/\*.*?\*/)*uescape(?:\s|--[^\r\n]*[\r\n]|/\*.*?\*/)*'[^']'`)

// source is the statement's part of the text.
func source(text string, part []token) string {
	last := part[len(part)-1]
	end := min(last.pos+len(last.text), len(text))
	if len(last.text) > 1 && last.text[1] == '&' {
		// The lexer makes one token of U&'...' UESCAPE '!', and tells the first part.
		end += len(uescape.FindString(text[end:]))
	}
	return text[part[0].pos:end]
}

// threePart returns the first names of all chains a.b.c. The parser drops the
// rest of such a name in FROM, so an unqualified relation of that name may mean
// another one.
func threePart(tokens []token) map[string]bool {
	var out map[string]bool
	for i := 0; i+4 < len(tokens); i++ {
		if tokens[i].isName && tokens[i+1].kind == '.' && tokens[i+2].isName && tokens[i+3].kind == '.' &&
			(i == 0 || tokens[i-1].kind != '.') {
			if out == nil {
				out = map[string]bool{}
			}
			out[tokens[i].name] = true
		}
	}
	return out
}
