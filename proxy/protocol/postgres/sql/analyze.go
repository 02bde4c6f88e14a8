// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// DefaultMaxBytes bounds the size of a text that is analysed.
const DefaultMaxBytes = 256 << 10

// Options is what the meaning of a text depends on besides the catalog.
type Options struct {
	// SearchPath is current_schemas(true) of the session.
	SearchPath []string
	// Database is the name of the database that the session is connected to.
	Database string
	// MaxBytes bounds the text; 0 means DefaultMaxBytes.
	MaxBytes int
	// Prepared finds a statement that PREPARE or Parse has named in this
	// session. Nil means there is none.
	Prepared func(name string) (*Statement, bool)
	// TempRelations says whether a temporary relation of that name may exist
	// in the session (Effects.CreatesTemp of any earlier statement, whether
	// its transaction was rolled back or not). Nil means there is none.
	TempRelations func(name string) bool
	// Created says whether the session may have created the relation in a
	// transaction that the catalog snapshot cannot see yet (Effects.Creates).
	// Nil means that there is none.
	Created func(schema, name string) bool
}

// Analyze parses a text of one or more statements and says what each of them
// does. It never panics. The error is an *Error or, where a name is not in the
// catalog snapshot, an *UnknownRelationError; either way nothing of the text
// may be forwarded. A text without any statement yields an empty slice.
func Analyze(text string, cat *catalog.Catalog, opt Options) (out []Statement, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, refuse(StateInternal, "Rewrite the statement; what cannot be analysed is not forwarded.",
				"statement cannot be analysed")
		}
	}()
	if e := checkText(text, opt.MaxBytes); e != nil {
		return nil, e
	}
	tokens, e := scan(text)
	if e != nil {
		return nil, e
	}
	trees, perr := parser.ParseSQL(text)
	if perr != nil {
		return nil, syntaxError()
	}
	parts, reliable := split(tokens)
	if len(trees) == 1 && !reliable {
		parts = [][]token{trimSemicolons(tokens)}
	}
	if len(parts) != len(trees) || !reliable && len(trees) > 1 {
		return nil, refuse(StateSyntaxError, "Send each statement by itself.",
			"text cannot be cut into its statements: %d parsed", len(trees))
	}
	moved := false
	for i, tree := range trees {
		s, err := analyzeOne(tree, text, parts[i], cat, opt, len(trees) > 1)
		if err != nil {
			return nil, err
		}
		if moved && len(s.Relations) > 0 {
			return nil, refuse(StateFeatureNotSupported, "Send the statements one by one, and commit the renaming first.",
				"names cannot be resolved after another statement of the text has moved them")
		}
		moved = moved || s.Effects.MovesNames
		out = append(out, *s)
		opt = opt.after(s)
	}
	return out, nil
}

// after is what the next statement of the same text finds.
func (o Options) after(s *Statement) Options {
	e := &s.Effects
	if e.Prepares != "" {
		before := o.Prepared
		o.Prepared = func(name string) (*Statement, bool) {
			if name == e.Prepares {
				return e.Prepared, true
			}
			if before == nil {
				return nil, false
			}
			return before(name)
		}
	}
	if len(e.CreatesTemp) > 0 {
		before := o.TempRelations
		o.TempRelations = func(name string) bool {
			return slices.Contains(e.CreatesTemp, name) || before != nil && before(name)
		}
	}
	if len(e.Creates) > 0 {
		before := o.Created
		o.Created = func(schema, name string) bool {
			return slices.Contains(e.Creates, schema+"."+name) || before != nil && before(schema, name)
		}
	}
	return o
}

func trimSemicolons(tokens []token) []token {
	for len(tokens) > 0 && tokens[0].kind == ';' {
		tokens = tokens[1:]
	}
	for len(tokens) > 0 && tokens[len(tokens)-1].kind == ';' {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}

func analyzeOne(tree ast.Stmt, text string, part []token, cat *catalog.Catalog, opt Options, many bool) (*Statement, error) {
	a := &analysis{cat: cat, opt: opt, firsts: threePart(part), seen: map[*ast.ColumnRef]bool{}}
	a.path = searchPath(opt.SearchPath)
	a.facts.tokens = nameCounts(part)
	s := &Statement{Text: source(text, part), Normalized: normalize(part), cat: cat}
	a.out = s
	if many {
		a.property(PropertyMultiStatement)
	}
	s.Effects.ReadOnly = true
	if err := a.run(tree); err != nil {
		return nil, err
	}
	a.finish()
	return s, nil
}

// run walks the statement; the first refusal that stops the analysis is kept
// in a.err, since the walk is recursive.
func (a *analysis) run(tree ast.Node) error {
	a.statement(tree, nil, true)
	if a.err == nil {
		a.attributeCalls()
	}
	if a.err == nil {
		return nil
	}
	var unknown *UnknownRelationError
	if errors.As(a.err, &unknown) {
		return unknown
	}
	return a.err
}

// unknownNode records a node kind that the analysis does not know: no policy
// allows it by accident.
func (a *analysis) unknownNode(n ast.Node) {
	a.access(ActionUnknown, typeName(n), nil)
	a.out.Effects.ReadOnly = false
}

func typeName(n ast.Node) string {
	name := fmt.Sprintf("%T", n)
	const prefix = "*ast."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):]
	}
	return name
}
