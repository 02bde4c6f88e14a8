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
const DefaultMaxBytes = 8 << 20

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
	// Behind tells what reading a view that the session has made reads, by its
	// resource (Effects.Behind). Nil means that there is none.
	Behind func(resource string) []Access
	// Unsettled says that the search path was changed in the transaction, so that
	// its end may bring back another.
	Unsettled bool
	// InRole says that the session is kept within a role, and CursorsRun that a cursor
	// of it may run code: see Statement.MayLeave.
	InRole, CursorsRun bool
	// PathAfter says what current_schemas(true) is once search_path is set to a
	// list of names. Nil means that it cannot be told.
	PathAfter func(names []string) ([]string, error)
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
	trees, parts, e := parse(text, opt.MaxBytes)
	if e != nil {
		return nil, e
	}
	moved := false
	var next following
	for i, tree := range trees {
		if err := next.prepare(tree, &opt); err != nil {
			return nil, err
		}
		s, err := analyzeOne(tree, text, parts[i], cat, opt, len(trees) > 1)
		var unknown *UnknownRelationError
		if moved && (errors.As(err, &unknown) || err == nil && len(s.Relations) > 0) {
			return nil, refuse(StateFeatureNotSupported, "Send the statements one by one: what names mean cannot be known before the text runs.",
				"names cannot be resolved after another statement of the text has moved them")
		}
		if err != nil {
			locate(err, text, parts[i])
			return nil, err
		}
		moved = moved || s.Effects.MovesNames
		out = append(out, *s)
		opt = opt.after(s)
		next.follow(s, &opt)
	}
	return out, nil
}

// parse turns a text into the trees of its statements, and the tokens of each.
func parse(text string, limit int) ([]ast.Stmt, [][]token, *Error) {
	if e := checkText(text, limit); e != nil {
		return nil, nil, e
	}
	tokens, e := scan(text)
	if e != nil {
		return nil, nil, e
	}
	trees, perr := parser.ParseSQL(text)
	if perr != nil {
		return nil, nil, unparsed(text, tokens, perr)
	}
	parts, reliable := split(tokens)
	if len(trees) == 1 && !reliable {
		parts = [][]token{trimSemicolons(tokens)}
	}
	if len(parts) != len(trees) || !reliable && len(trees) > 1 {
		return nil, nil, refuse(StateSyntaxError, "Send each statement by itself.",
			"text cannot be cut into its statements: %d parsed", len(trees))
	}
	if e := settleCopies(text, trees, parts); e != nil {
		return nil, nil, e
	}
	return trees, parts, nil
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

// following is what a text does to its own search path, statement by statement.
type following struct {
	names   []string // set by the text, and not yet looked up
	changed bool
	unknown bool
}

// prepare sees to the path that a statement of the text is read under.
func (f *following) prepare(tree ast.Node, opt *Options) error {
	if pathless(tree) || !f.unknown && f.names == nil {
		return nil
	}
	if !f.unknown && opt.PathAfter != nil {
		path, err := opt.PathAfter(f.names)
		if err == nil {
			opt.SearchPath, f.names = path, nil
		}
		return err
	}
	return refuse(StateFeatureNotSupported, "Send the statements one by one.",
		"names cannot be resolved after another statement of the text has changed the search path")
}

// follow notes what a statement does to the path of those after it.
func (f *following) follow(s *Statement, opt *Options) {
	e := &s.Effects
	if opt.InRole && s.MayLeave(true, opt.CursorsRun) {
		// It may have left the role, in which nothing else of the text may run.
		f.changed, f.unknown = true, true
	}
	opt.CursorsRun = opt.CursorsRun || e.DeclaresCursor != "" && s.MayLeave(opt.InRole, false)
	switch p := e.SetsParameter; {
	case e.ChangesPath && p != nil && p.Name == parameterPath && !p.Reset && p.Values != nil:
		f.names, f.changed = p.Values, true
	case e.ChangesPath:
		f.changed, f.unknown = true, true
	case e.Transaction.restoresSettings():
		f.unknown = f.unknown || f.changed || opt.Unsettled
	}
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
	a.conninfo = slices.ContainsFunc(part, func(t token) bool { return t.isName && t.name == "subconninfo" })
	s := &Statement{Text: source(text, part), Start: part[0].pos, Normalized: normalize(part), Pathless: pathless(tree), cat: cat}
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
	a.settingsQuery(tree)
	a.facts.tree = tree
	a.statement(tree, nil, true)
	if a.err == nil {
		a.references()
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
	a.access(ActionUnknown, nodeName(n), nil)
	a.out.Effects.ReadOnly = false
}

func nodeName(n ast.Node) string {
	name := fmt.Sprintf("%T", n)
	const prefix = "*ast."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):]
	}
	return name
}
