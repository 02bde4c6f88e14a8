// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// change walks ALTER, DROP, GRANT and COMMENT, which take any kind of object.
func (a *analysis) change(n ast.Node) {
	switch s := n.(type) {
	case *ast.DropStmt:
		a.ddl("DROP "+s.RemoveType.String(), true)
		a.dropMoves(s)
		a.cascade(s.Behavior)
		a.eachObject(s.Objects, ActionDrop, s.RemoveType, s.MissingOk)
	case *ast.RenameStmt:
		a.ddl("ALTER "+renamedKind(s), s.Relation != nil && ofRelation(s.RenameType))
		a.out.Effects.MovesNames = true
		switch {
		case s.Relation != nil:
			a.alterRelation(s.Relation, s.MissingOk)
			a.renames(s)
		case !isNilNode(s.Object):
			a.object(ActionAlter, s.RenameType, s.Object, s.MissingOk)
		default:
			a.access(ActionAlter, kindName(s.RenameType)+":"+s.Subname, nil)
		}
	case *ast.AlterObjectSchemaStmt:
		a.ddl("ALTER "+s.ObjectType.String(), s.Relation != nil && ofRelation(s.ObjectType))
		a.out.Effects.MovesNames = true
		a.access(ActionAlter, "schema:"+s.NewSchema, nil)
		a.alterAny(s.Relation, s.ObjectType, s.Object, s.MissingOk)
	case *ast.AlterOwnerStmt:
		a.ddl("ALTER "+s.ObjectType.String(), false)
		a.alterAny(s.Relation, s.ObjectType, s.Object, false)
	case *ast.AlterObjectDependsStmt:
		a.ddl("ALTER "+s.ObjectType.String(), false)
		a.alterAny(s.Relation, s.ObjectType, s.Object, false)
	case *ast.CommentStmt:
		a.out.Kind = "COMMENT"
		a.object(ActionComment, s.Objtype, s.Object, false)
	case *ast.SecLabelStmt:
		a.ddl("SECURITY LABEL", false)
		a.object(ActionAlter, s.Objtype, s.Object, false)
	case *ast.GrantStmt:
		a.grant(s)
	case *ast.GrantRoleStmt:
		a.ddl(grantWord(s.IsGrant)+" ROLE", false)
		a.cascade(s.Behavior)
		if s.GrantedRoles != nil {
			for _, r := range s.GrantedRoles.Items {
				name := ""
				if p, ok := r.(*ast.AccessPriv); ok {
					name = p.PrivName
				}
				a.access(ActionGrant, "role:"+name, nil)
			}
		}
	case *ast.AlterDefaultPrivilegesStmt:
		a.ddl("ALTER DEFAULT PRIVILEGES", false)
		a.access(ActionGrant, "defaultPrivileges:", nil)
	case *ast.DropOwnedStmt:
		a.ddl("DROP OWNED", false)
		a.out.Effects.MovesNames = true
		a.cascade(s.Behavior)
		a.roles(s.Roles, ActionDrop)
	case *ast.ReassignOwnedStmt:
		a.ddl("REASSIGN OWNED", false)
		a.roles(s.Roles, ActionAlter)
	default:
		a.server(n)
	}
}

// renamedKind is the kind of object that the command tag names: that of the
// relation where a part of it is renamed (AlterObjectTypeCommandTag).
func renamedKind(s *ast.RenameStmt) string {
	switch s.RenameType { //nolint:exhaustive // the others are named themselves
	case ast.OBJECT_COLUMN:
		return s.RelationType.String()
	case ast.OBJECT_TABCONSTRAINT:
		return ast.OBJECT_TABLE.String()
	case ast.OBJECT_DOMCONSTRAINT:
		return ast.OBJECT_DOMAIN.String()
	case ast.OBJECT_ATTRIBUTE:
		return ast.OBJECT_TYPE.String()
	}
	return s.RenameType.String()
}

// dropMoves finds out whether a name falls through to another object when the
// one that it means now goes.
func (a *analysis) dropMoves(s *ast.DropStmt) {
	switch s.RemoveType { //nolint:exhaustive // the other kinds of objects are not looked up by name
	case ast.OBJECT_SCHEMA, ast.OBJECT_EXTENSION:
		a.out.Effects.MovesNames = true
		return
	}
	if s.Objects == nil || !slices.Contains(relationKinds, s.RemoveType) {
		return
	}
	for _, o := range s.Objects.Items {
		_, name, _ := objectName(o)
		meanings := 0
		for _, schema := range a.path {
			if _, ok := a.cat.Lookup(schema, name); ok {
				meanings++
			}
		}
		a.out.Effects.MovesNames = a.out.Effects.MovesNames || meanings > 1
	}
}

func grantWord(grant bool) string {
	if grant {
		return "GRANT"
	}
	return "REVOKE"
}

func (a *analysis) alterAny(v *ast.RangeVar, kind ast.ObjectType, object ast.Node, missing bool) {
	if v != nil {
		a.alterRelation(v, missing)
		return
	}
	a.object(ActionAlter, kind, object, missing)
}

func (a *analysis) eachObject(l *ast.NodeList, action string, kind ast.ObjectType, missing bool) {
	if l == nil || len(l.Items) == 0 {
		a.access(action, kindName(kind)+":", nil)
		return
	}
	for _, o := range l.Items {
		a.object(action, kind, o, missing)
	}
}

func (a *analysis) grant(s *ast.GrantStmt) {
	a.ddl(grantWord(s.IsGrant), false)
	a.cascade(s.Behavior)
	if s.Targtype == ast.ACL_TARGET_ALL_IN_SCHEMA {
		a.eachObject(s.Objects, ActionGrant, ast.OBJECT_SCHEMA, false)
		return
	}
	a.eachObject(s.Objects, ActionGrant, s.Objtype, false)
}

func (a *analysis) roles(l *ast.NodeList, action string) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		_, name, _ := objectName(n)
		a.access(action, "role:"+name, nil)
	}
}

// server walks definitions of objects that are no relations.
func (a *analysis) server(n ast.Node) {
	one := func(kind, action, resource string) {
		a.ddl(kind, false)
		a.access(action, resource, nil)
	}
	list := func(kind, action, object string, name *ast.NodeList) {
		a.ddl(kind, false)
		a.objectNamed(action, object, name)
	}
	switch s := n.(type) {
	case *ast.CreateSchemaStmt:
		a.createSchema(s)
	case *ast.CreateFunctionStmt:
		a.createFunction(s)
	case *ast.AlterFunctionStmt:
		a.ddl("ALTER "+s.ObjType.String(), false)
		a.out.Effects.RunsText = true
		a.object(ActionAlter, s.ObjType, s.Func, false)
	case *ast.DefineStmt:
		list("CREATE "+s.Kind.String(), ActionCreate, kindName(s.Kind), s.DefNames)
		if schema, name, ok := names(s.DefNames); ok && s.Kind == ast.OBJECT_OPERATOR {
			a.creates(createdOperator, schema, name)
		}
		a.definedFunctions(s.Definition)
	case *ast.CompositeTypeStmt:
		a.ddl("CREATE TYPE", false)
		if s.Typevar != nil && a.checkRangeVar(s.Typevar) {
			a.absent(ActionCreate, "type", s.Typevar.SchemaName, s.Typevar.RelName)
		}
	case *ast.CreateEnumStmt:
		list("CREATE TYPE", ActionCreate, "type", s.TypeName)
	case *ast.CreateRangeStmt:
		list("CREATE TYPE", ActionCreate, "type", s.TypeName)
		a.definedFunctions(s.Params)
	case *ast.CreateDomainStmt:
		list("CREATE DOMAIN", ActionCreate, "domain", s.Domainname)
		a.list(s.Constraints, nil)
	case *ast.AlterEnumStmt:
		list("ALTER TYPE", ActionAlter, "type", s.TypeName)
	case *ast.AlterTypeStmt:
		list("ALTER TYPE", ActionAlter, "type", s.TypeName)
	case *ast.AlterCompositeTypeStmt:
		list("ALTER TYPE", ActionAlter, "type", s.TypeName)
	case *ast.AlterDomainStmt:
		list("ALTER DOMAIN", ActionAlter, "domain", s.TypeName)
		a.expr(s.Def, nil)
	case *ast.AlterStatsStmt:
		list("ALTER STATISTICS", ActionAlter, "statistics", s.DefNames)
	case *ast.AlterCollationStmt:
		list("ALTER COLLATION", ActionAlter, "collation", s.Collname)
	case *ast.AlterOperatorStmt:
		a.ddl("ALTER OPERATOR", false)
		a.object(ActionAlter, ast.OBJECT_OPERATOR, s.Opername, false)
	case *ast.AlterOpFamilyStmt:
		list("ALTER OPERATOR FAMILY", ActionAlter, "operatorFamily", s.OpFamilyName)
	case *ast.AlterTSDictionaryStmt:
		list("ALTER TEXT SEARCH DICTIONARY", ActionAlter, "textSearchDictionary", s.Dictname)
	case *ast.AlterTSConfigurationStmt:
		list("ALTER TEXT SEARCH CONFIGURATION", ActionAlter, "textSearchConfiguration", s.Cfgname)
	case *ast.CreateOpClassStmt:
		list("CREATE OPERATOR CLASS", ActionCreate, "operatorClass", s.OpClassName)
		a.definedFunctions(s.Items)
	case *ast.CreateOpFamilyStmt:
		list("CREATE OPERATOR FAMILY", ActionCreate, "operatorFamily", s.OpFamilyName)
	case *ast.CreateConversionStmt:
		list("CREATE CONVERSION", ActionCreate, "conversion", s.ConversionName)
		if schema, name, ok := names(s.FuncName); ok {
			a.definedFunction(schema, name)
		}
	case *ast.CreateCastStmt:
		a.ddl("CREATE CAST", false)
		_, _, parts := objectName(s.TargetType)
		a.access(ActionCreate, "cast:"+strings.Join(parts, "."), nil)
		a.makesCast(s)
	case *ast.CreateTransformStmt:
		one("CREATE TRANSFORM", ActionCreate, "transform:"+s.Lang)
	case *ast.CreatePLangStmt:
		one("CREATE LANGUAGE", ActionCreate, "language:"+s.PLName)
	case *ast.CreateAmStmt:
		one("CREATE ACCESS METHOD", ActionCreate, "accessMethod:"+s.AmName)
	default:
		a.cluster(n, one)
	}
}

func (a *analysis) createSchema(s *ast.CreateSchemaStmt) {
	a.ddl("CREATE SCHEMA", false)
	name := s.Schemaname
	if name == "" && s.Authrole != nil {
		name = s.Authrole.Rolename
	}
	a.access(ActionCreate, "schema:"+name, nil)
	if s.SchemaElts == nil {
		return
	}
	// Unqualified names of the elements are looked up in the new schema first.
	path, opt := a.path, a.opt
	a.path = append([]string{name}, a.path...)
	a.opt.Created = func(schema, relation string) bool {
		for _, c := range a.out.Effects.Creates {
			if c == schema+"."+relation {
				return true
			}
		}
		return opt.Created != nil && opt.Created(schema, relation)
	}
	for _, e := range s.SchemaElts.Items {
		a.statement(e, nil, false)
	}
	a.path, a.opt = path, opt
	a.ddl("CREATE SCHEMA", false)
}

func (a *analysis) createFunction(s *ast.CreateFunctionStmt) {
	kind := "function"
	if s.IsProcedure {
		kind = "procedure"
	}
	a.ddl("CREATE "+strings.ToUpper(kind), false)
	a.out.Effects.RunsText = true
	if schema, name, ok := names(s.FuncName); ok {
		made := a.creation(schema, name)
		a.access(ActionCreate, kind+":"+made, nil)
		a.out.Effects.Creates = append(a.out.Effects.Creates, createdFunction+made)
	} else {
		a.access(ActionCreate, kind+":", nil)
	}
	a.list(s.Parameters, nil)
	if !isNilNode(s.SQLBody) {
		a.statement(s.SQLBody, nil, false)
	}
}
