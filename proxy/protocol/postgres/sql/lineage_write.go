// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// written is the relation that a statement writes, as its clauses see it.
func (l *lineage) written(v *ast.RangeVar) (*item, target) {
	l.seen[v] = true
	t, ok := l.resolve(v)
	if !ok {
		l.refuse(refuse(StateUndefinedTable, "Check the name and the schema.", "relation does not exist, or cannot be seen: %q", v.RelName))
		return &item{}, t
	}
	i := l.named(v.RelName, t)
	if t.rel != nil && t.rel.WriteRules {
		// What RETURNING shows is the rule's own.
		from := l.reach(t.rel.OID)
		i.columns = slices.Clone(i.columns)
		for k := range i.columns {
			i.columns[k].value = partial(value{taint: i.columns[k].with(from)})
		}
	}
	one(i, v.Alias)
	return i, t
}

// returning lists the columns of RETURNING. From PostgreSQL 18 on it sees the
// row as it was and as it is now.
func (l *lineage) returning(list *ast.NodeList, i *item, at *level) []column {
	if len(listOf(list)) == 0 {
		return nil
	}
	for _, name := range []string{"old", "new"} {
		if at.member("", name) == nil {
			row := *i
			row.alias, row.unqualified = name, false
			at.items = append(at.items, &row)
		}
	}
	return l.targets(list, at)
}

func (l *lineage) insert(s *ast.InsertStmt, parent *level) []column {
	outer := l.with(s.WithClause, parent)
	i, t := l.written(s.Relation)
	at := &level{parent: outer, items: []*item{i}}
	if !isNilNode(s.SelectStmt) {
		columns := l.query(s.SelectStmt, outer)
		l.stored(columns, "INSERT")
		rows, width := insertedValues(s.SelectStmt, columns)
		l.writes(catalog.Insert, t, i, insertedNames(listOf(s.Cols), t.rel, rows, width))
	}
	for _, n := range listOf(s.Cols) {
		l.assignment(n, at)
	}
	if s.OnConflictClause != nil {
		l.conflict(s.OnConflictClause, i, t, at)
	}
	return l.returning(s.ReturningList, i, at)
}

// conflict follows ON CONFLICT: whether a row is there already is a predicate
// over the columns that say so.
func (l *lineage) conflict(c *ast.OnConflictClause, i *item, t target, at *level) {
	const where = "ON CONFLICT"
	if c.Infer == nil || c.Infer.Conname != "" {
		l.predicate(l.uniqueColumns(t), where)
	}
	if c.Infer != nil {
		for _, n := range listOf(c.Infer.IndexElems) {
			e, ok := n.(*ast.IndexElem)
			switch {
			case !ok:
				l.refuse(notFollowed(n))
			case e.Name != "":
				l.predicate(l.qualified(i, e.Name).taint, where)
			default:
				l.condition(e.Expr, at, where)
			}
		}
		l.condition(c.Infer.WhereClause, at, where)
	}
	// excluded is the row that the caller has proposed.
	excluded := &item{alias: "excluded", named: true, unqualified: false, columns: []column{{hole: true, value: value{total: true}}}}
	inner := &level{parent: at.parent, items: append([]*item{excluded}, at.items...)}
	for _, n := range listOf(c.TargetList) {
		l.assignment(n, inner)
	}
	l.condition(c.WhereClause, inner, where)
	if list := listOf(c.TargetList); len(list) > 0 {
		l.writes(catalog.Update, t, i, assignedNames(list))
	}
}

// uniqueColumns are the masked columns that a unique or exclusion constraint of
// the relation, or of what it stands for, looks at.
func (l *lineage) uniqueColumns(t target) (out taint) {
	if t.rel == nil {
		return taint{}
	}
	for _, oid := range l.cat.BaseRelations(t.rel.OID) {
		rel, ok := l.cat.Relation(oid)
		if !ok {
			continue
		}
		for _, number := range rel.Unique {
			for _, c := range rel.Columns {
				if number == 0 || number == c.Number {
					out = out.with(taintOf(l.m.mask(l.cat, rel, c)))
				}
			}
		}
	}
	return out
}

// assignment follows one member of SET or of a list of columns.
func (l *lineage) assignment(n ast.Node, at *level) {
	t, ok := n.(*ast.ResTarget)
	if !ok {
		l.refuse(notFollowed(n))
		return
	}
	where := "SET " + t.Name
	for _, x := range listOf(t.Indirection) {
		l.write(l.expr(x, at).taint, where)
	}
	if multi, ok := t.Val.(*ast.MultiAssignRef); ok {
		if multi.Colno == 1 {
			l.write(l.expr(multi.Source, at).taint, where)
			if sub, ok := multi.Source.(*ast.SubLink); ok {
				l.seen[sub] = true
			}
		}
		return
	}
	if !isNilNode(t.Val) {
		l.write(l.expr(t.Val, at).taint, where)
	}
}

func (l *lineage) update(s *ast.UpdateStmt, parent *level) []column {
	outer := l.with(s.WithClause, parent)
	i, t := l.written(s.Relation)
	at := &level{parent: outer, items: []*item{i}}
	l.writes(catalog.Update, t, i, assignedNames(listOf(s.TargetList)))
	l.from(s.FromClause, at)
	for _, n := range listOf(s.TargetList) {
		l.assignment(n, at)
	}
	l.condition(s.WhereClause, at, "WHERE")
	return l.returning(s.ReturningList, i, at)
}

func (l *lineage) delete(s *ast.DeleteStmt, parent *level) []column {
	outer := l.with(s.WithClause, parent)
	i, t := l.written(s.Relation)
	at := &level{parent: outer, items: []*item{i}}
	l.writes(catalog.Delete, t, i, nil)
	l.from(s.UsingClause, at)
	l.condition(s.WhereClause, at, "WHERE")
	return l.returning(s.ReturningList, i, at)
}

func (l *lineage) merge(s *ast.MergeStmt, parent *level) []column {
	outer := l.with(s.WithClause, parent)
	i, t := l.written(s.Relation)
	// RETURNING * lists the source before the target.
	source := l.source(s.SourceRelation, &level{parent: outer})
	at := &level{parent: outer, items: append(slices.Clone(source.items), i)}
	l.condition(s.JoinCondition, at, "MERGE ON")
	for _, n := range listOf(s.MergeWhenClauses) {
		w, ok := n.(*ast.MergeWhenClause)
		if !ok {
			l.refuse(notFollowed(n))
			return nil
		}
		l.condition(w.Condition, at, "WHEN")
		for _, x := range w.TargetList {
			l.assignment(x, at)
		}
		l.mergeWrites(w, t, i)
		for _, x := range listOf(w.Values) {
			l.write(l.expr(x, at).taint, "INSERT")
		}
	}
	return l.returning(s.ReturningList, i, at)
}

func (l *lineage) mergeWrites(w *ast.MergeWhenClause, t target, i *item) {
	list := make([]ast.Node, 0, len(w.TargetList))
	for _, x := range w.TargetList {
		list = append(list, x)
	}
	switch w.CommandType {
	case ast.CMD_INSERT:
		values := listOf(w.Values)
		if len(values) > 0 { // else DEFAULT VALUES
			l.writes(catalog.Insert, t, i, insertedNames(list, t.rel, [][]ast.Node{values}, len(values)))
		}
	case ast.CMD_UPDATE:
		l.writes(catalog.Update, t, i, assignedNames(list))
	case ast.CMD_DELETE:
		l.writes(catalog.Delete, t, i, nil)
	default: // writes nothing
	}
}

// copiedIn checks COPY relation FROM: the rows are the caller's own, and so is what
// WHERE sees of them.
func (l *lineage) copiedIn(s *ast.CopyStmt) {
	t, ok := l.resolve(s.Relation)
	if !ok {
		l.refuse(notFollowed(s))
		return
	}
	var names []string
	for _, n := range listOf(s.Attlist) {
		if name, ok := n.(*ast.String); ok {
			names = append(names, name.SVal)
		}
	}
	l.writes(catalog.Insert, t, l.named(s.Relation.RelName, t), names)
}

// copied lists the columns of COPY relation TO.
func (l *lineage) copied(s *ast.CopyStmt) []column {
	t, ok := l.resolve(s.Relation)
	if !ok {
		l.refuse(notFollowed(s))
		return nil
	}
	i := l.named(s.Relation.RelName, t)
	var out []column
	if len(listOf(s.Attlist)) > 0 {
		for _, n := range listOf(s.Attlist) {
			if name, ok := n.(*ast.String); ok {
				out = append(out, column{name: name.SVal, value: l.settle(l.qualified(i, name.SVal))})
			}
		}
		return out
	}
	if t.rel == nil || len(t.session) > 0 {
		return l.spread(i)
	}
	for k, c := range t.rel.Columns {
		if !c.Generated && k < len(i.columns) {
			out = append(out, i.columns[k])
		}
	}
	return out
}

// isUserView says whether a relation is a view that is followed by its query.
func isUserView(r *catalog.Relation) bool {
	return r.OID >= catalog.FirstUserOID && (r.Kind == catalog.KindView || r.Kind == catalog.KindMaterializedView)
}
