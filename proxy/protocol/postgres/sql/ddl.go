// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// ddl notes a statement that changes the catalog. plain says that it runs no
// code for the caller and moves no data but of the relations it names.
func (a *analysis) ddl(kind string, plain bool) {
	a.out.Kind = kind
	a.out.Effects.IsDDL = true
	a.out.Effects.ReadOnly = false
	if !plain {
		a.facts.kind = kind
	}
}

// definition walks the statements that define relations; other objects follow
// in objects.go.
func (a *analysis) definition(n ast.Node) {
	switch s := n.(type) {
	case *ast.CreateStmt:
		a.ddl("CREATE TABLE", true)
		a.createTable(s)
	case *ast.CreateForeignTableStmt:
		a.ddl("CREATE FOREIGN TABLE", false)
		a.access(ActionAlter, "server:"+s.Servername, nil)
		if s.Base != nil {
			a.createTable(s.Base)
		}
	case *ast.ViewStmt:
		a.ddl("CREATE VIEW", true)
		a.create(s.View)
		a.statement(s.Query, nil, false)
	case *ast.IndexStmt:
		a.ddl("CREATE INDEX", true)
		a.alterRelation(s.Relation, false)
		a.list(s.IndexParams, nil)
		a.list(s.IndexIncludingParams, nil)
		a.expr(s.WhereClause, nil)
	case *ast.CreateSeqStmt:
		a.ddl("CREATE SEQUENCE", true)
		a.create(s.Sequence)
		a.list(s.Options, nil)
	case *ast.AlterSeqStmt:
		a.ddl("ALTER SEQUENCE", true)
		a.alterRelation(s.Sequence, s.MissingOk)
		a.list(s.Options, nil)
	case *ast.AlterTableStmt:
		a.ddl("ALTER "+s.Objtype.String(), ofRelation(s.Objtype))
		if s.Objtype == ast.OBJECT_TYPE && s.Relation != nil && a.checkRangeVar(s.Relation) {
			a.access(ActionAlter, "type:"+a.creation(s.Relation.SchemaName, s.Relation.RelName), nil)
		} else {
			a.alterRelation(s.Relation, s.MissingOk)
		}
		a.list(s.Cmds, nil)
	case *ast.RuleStmt:
		a.ddl("CREATE RULE", false)
		a.alterRelation(s.Relation, false)
		level := a.ruleScope()
		a.expr(s.WhereClause, level)
		a.list(s.Actions, level)
	case *ast.CreateTriggerStmt:
		a.ddl("CREATE TRIGGER", false)
		a.alterRelation(s.Relation, false)
		if s.Constrrel != nil {
			a.expr(s.Constrrel, nil)
		}
		a.expr(s.WhenClause, a.ruleScope())
		a.objectNamed(ActionExecute, "", s.Funcname)
	case *ast.CreatePolicyStmt:
		a.ddl("CREATE POLICY", false)
		a.alterRelation(s.Table, false)
		a.expr(s.Qual, nil)
		a.expr(s.WithCheck, nil)
	case *ast.AlterPolicyStmt:
		a.ddl("ALTER POLICY", false)
		a.alterRelation(s.Table, false)
		a.expr(s.Qual, nil)
		a.expr(s.WithCheck, nil)
	case *ast.CreateStatsStmt:
		a.ddl("CREATE STATISTICS", true)
		a.objectNamed(ActionCreate, "statistics", s.DefNames)
		a.list(s.Exprs, nil)
		a.relationList(s.Relations, ActionAlter)
	default:
		a.change(n)
	}
}

// ruleScope holds the rows NEW and OLD.
func (a *analysis) ruleScope() *scope {
	return &scope{items: []*fromItem{{alias: "new"}, {alias: "old"}}}
}

func (a *analysis) createTable(s *ast.CreateStmt) {
	a.create(s.Relation)
	if s.InhRelations != nil {
		a.relationList(s.InhRelations, ActionAlter)
	}
	// Foreign keys are resolved once the relation is there, so that they may be its own.
	opt := a.opt
	a.opt = opt.after(a.out)
	a.making = a.out.Effects.making(s.Relation)
	defer func() { a.opt, a.making = opt, "" }()
	children(s, func(c ast.Node) {
		if v, ok := c.(*ast.RangeVar); ok && v == s.Relation {
			return
		}
		if l, ok := c.(*ast.NodeList); ok && l == s.InhRelations {
			return
		}
		a.expr(c, nil)
	})
}

// alterRelation notes the relation that a definition changes. A missing one is
// accepted under IF EXISTS, in every schema it could be meant in.
func (a *analysis) alterRelation(v *ast.RangeVar, missing bool) {
	if v == nil {
		return
	}
	if missing && a.checkRangeVar(v) && !a.lookup(v.SchemaName, v.RelName).found() {
		a.absent(ActionAlter, "", v.SchemaName, v.RelName)
		return
	}
	if t, ok := a.relation(v); ok {
		a.eachAccess(ActionAlter, t, nil)
	}
}

// absent adds an access for every object that an unknown name could mean.
func (a *analysis) absent(action, kind, schema, name string) {
	if kind != "" {
		kind += ":"
	}
	if schema != "" {
		a.access(action, kind+schema+"."+name, nil)
		return
	}
	found := false
	for _, s := range a.path {
		if s == catalog.SystemSchema || isTempSchema(s) {
			continue
		}
		found = true
		a.access(action, kind+s+"."+name, nil)
	}
	if !found {
		a.access(action, kind+name, nil)
	}
}

// objectNamed notes an object other than a relation by its possibly qualified name.
func (a *analysis) objectNamed(action, kind string, l *ast.NodeList) {
	schema, name, ok := names(l)
	if !ok {
		a.access(action, kind+":", nil)
		return
	}
	a.absent(action, kind, schema, name)
}

// plainKinds are kinds of objects that live in no schema.
var plainKinds = []ast.ObjectType{
	ast.OBJECT_ACCESS_METHOD, ast.OBJECT_DATABASE, ast.OBJECT_EVENT_TRIGGER, ast.OBJECT_EXTENSION, ast.OBJECT_FDW,
	ast.OBJECT_FOREIGN_SERVER, ast.OBJECT_LANGUAGE, ast.OBJECT_LARGEOBJECT, ast.OBJECT_PARAMETER_ACL,
	ast.OBJECT_PUBLICATION, ast.OBJECT_ROLE, ast.OBJECT_SCHEMA, ast.OBJECT_SUBSCRIPTION, ast.OBJECT_TABLESPACE,
}

// relationKinds are kinds of objects that are relations.
var relationKinds = []ast.ObjectType{
	ast.OBJECT_TABLE, ast.OBJECT_VIEW, ast.OBJECT_MATVIEW, ast.OBJECT_INDEX, ast.OBJECT_SEQUENCE, ast.OBJECT_FOREIGN_TABLE,
}

// onRelation are kinds of objects that belong to a relation: the last name is
// the object's, those before it the relation's.
var onRelation = []ast.ObjectType{
	ast.OBJECT_COLUMN, ast.OBJECT_TABCONSTRAINT, ast.OBJECT_TRIGGER, ast.OBJECT_RULE, ast.OBJECT_POLICY,
}

// ofRelation says whether a change of such an object concerns the relation
// alone that it names.
func ofRelation(kind ast.ObjectType) bool {
	return slices.Contains(relationKinds, kind) || kind == ast.OBJECT_COLUMN || kind == ast.OBJECT_TABCONSTRAINT
}

// kindName writes an object kind as resources do: "foreignServer".
func kindName(t ast.ObjectType) string {
	words := strings.Fields(strings.ToLower(t.String()))
	for i := 1; i < len(words); i++ {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	return strings.Join(words, "")
}

// object notes any object as DROP, COMMENT, GRANT and ALTER name it.
func (a *analysis) object(action string, kind ast.ObjectType, n ast.Node, missing bool) {
	if v, ok := n.(*ast.RangeVar); ok && !a.checkRangeVar(v) {
		return
	}
	schema, name, parts := objectName(n)
	switch {
	case slices.Contains(onRelation, kind) && len(parts) >= 2:
		parts = parts[:len(parts)-1]
		schema = ""
		if len(parts) > 1 {
			schema = parts[len(parts)-2]
		}
		a.objectRelation(action, schema, parts[len(parts)-1], len(parts) > 2, missing)
	case slices.Contains(relationKinds, kind):
		a.objectRelation(action, schema, name, len(parts) > 2, missing)
	case name == "":
		a.access(action, kindName(kind)+":", nil)
	case slices.Contains(plainKinds, kind):
		a.access(action, kindName(kind)+":"+name, nil)
	default:
		a.absent(action, kindName(kind), schema, name)
	}
}

func (a *analysis) objectRelation(action, schema, name string, tooLong, missing bool) {
	if tooLong {
		a.fail(refuse(StateFeatureNotSupported, "Write schema.relation, and connect to the database that holds it.",
			"cross-database references are not forwarded: %q", name))
		return
	}
	if missing && !a.lookup(schema, name).found() {
		a.absent(action, "", schema, name)
		return
	}
	if t, ok := a.named(schema, name); ok {
		a.eachAccess(action, t, nil)
	}
}

// objectName finds the dotted name in whatever node the grammar uses for it.
func objectName(n ast.Node) (schema, name string, parts []string) {
	switch o := n.(type) {
	case *ast.String:
		parts = []string{o.SVal}
	case *ast.NodeList:
		for _, i := range o.Items {
			switch i := i.(type) {
			case *ast.String:
				parts = append(parts, i.SVal)
			case *ast.TypeName:
				_, _, p := objectName(i)
				parts = append(parts, p...)
			}
		}
	case *ast.ObjectWithArgs:
		return objectName(o.Objname)
	case *ast.TypeName:
		return objectName(o.Names)
	case *ast.RangeVar:
		for _, p := range []string{o.CatalogName, o.SchemaName, o.RelName} {
			if p != "" {
				parts = append(parts, p)
			}
		}
	case *ast.RoleSpec:
		parts = []string{o.Rolename}
	}
	if len(parts) > 0 {
		name = parts[len(parts)-1]
	}
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	return schema, name, parts
}
