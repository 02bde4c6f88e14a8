// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// target is what a relation's name may mean: a relation of the catalog, one
// that only this session can see, or either.
type target struct {
	rel     *catalog.Relation
	session []string // resource names of relations outside the catalog snapshot
	behind  []Access // what those read that are views
}

func (t target) found() bool { return t.rel != nil || len(t.session) > 0 }

// resources are the names that policies see.
func (t target) resources() []string {
	out := t.session
	if t.rel != nil {
		out = append(out[:len(out):len(out)], t.rel.String())
	}
	return out
}

func isTempSchema(schema string) bool {
	return schema == catalog.TempSchema || strings.HasPrefix(schema, "pg_temp_") ||
		strings.HasPrefix(schema, "pg_toast_temp_")
}

// lookup resolves a relation name as the server would: the temporary schema,
// then the search path. A relation of this session may have gone with its
// transaction, so the one of the catalog is kept as a possible meaning too.
func (a *analysis) lookup(schema, name string) target {
	var t target
	if schema != "" {
		if isTempSchema(schema) {
			t.session = []string{catalog.TempSchema + "." + name}
			return t
		}
		t.rel, _ = a.cat.Lookup(schema, name)
		if a.opt.Created != nil && a.opt.Created(schema, name) {
			t.session = []string{schema + "." + name}
		}
		return t
	}
	if a.opt.TempRelations != nil && a.opt.TempRelations(name) {
		t.session = append(t.session, catalog.TempSchema+"."+name)
	}
	for _, s := range a.path {
		if isTempSchema(s) {
			continue
		}
		if a.opt.Created != nil && a.opt.Created(s, name) {
			t.session = append(t.session, s+"."+name)
		}
		if rel, ok := a.cat.Lookup(s, name); ok {
			t.rel = rel
			break
		}
	}
	return t
}

// checkRangeVar refuses names in a form that the parser does not keep whole.
func (a *analysis) checkRangeVar(v *ast.RangeVar) bool {
	if v.CatalogName != "" || v.SchemaName == "" && a.firsts[v.RelName] {
		a.fail(refuse(StateFeatureNotSupported, "Write schema.relation; another database needs a connection of its own.",
			"cross-database references are not forwarded: %q, connected to %q", v.RelName, a.opt.Database))
		return false
	}
	return true
}

// relation resolves a name that must exist, and notes it as touched.
func (a *analysis) relation(v *ast.RangeVar) (target, bool) {
	if v == nil || !a.checkRangeVar(v) {
		return target{}, false
	}
	t, ok := a.named(v.SchemaName, v.RelName)
	if ok {
		a.facts.note(v, a.views(t))
	}
	return t, ok
}

// views adds what is read behind the relations that the session has made.
func (a *analysis) views(t target) target {
	if a.opt.Behind != nil {
		for _, r := range t.session {
			t.behind = append(t.behind, a.opt.Behind(r)...)
		}
	}
	return t
}

func (a *analysis) named(schema, name string) (target, bool) {
	t := a.lookup(schema, name)
	if !t.found() {
		full := name
		if schema != "" {
			full = schema + "." + name
		}
		a.fail(&UnknownRelationError{Schema: schema, Name: name, Refusal: refuse(StateUndefinedTable, "", `relation "%s" does not exist`, full)})
		return t, false
	}
	a.touch(t)
	return t, true
}

// touch notes the closure of a relation, and refuses those that hold
// credentials.
func (a *analysis) touch(t target) {
	if len(t.session) > 0 {
		// What the session made, the catalog does not show: it may be a view.
		a.out.Effects.ReadOnly, a.facts.calls = false, true
	}
	if t.rel != nil && a.cat.HasCode(t.rel.OID) {
		a.out.Effects.ReadOnly, a.facts.calls, a.out.Effects.RunsCode = false, true, true
	}
	if t.rel == nil || slices.Contains(a.facts.touched, t.rel.OID) {
		return
	}
	a.relations = append(a.relations, a.cat.BaseRelations(t.rel.OID)...)
	a.facts.touched = append(a.facts.touched, t.rel.OID)
	a.readOnly(t.rel.OID)
	switch name := a.credentialRelation(t.rel, map[uint32]bool{}); name {
	case "":
	case t.rel.String():
		if name == subscriptions {
			a.subscribes = true
			return
		}
		fallthrough
	default:
		a.refuse(refuse(StateInsufficientPrivilege, "Use pg_roles, or ask an administrator.",
			"relation holds credentials and cannot be read through the proxy: %q", name))
	}
}

// readOnly ends ReadOnly where reading the relation runs more than the server's
// own harmless functions: those of views, of row security, of foreign data; or
// where it locks rows.
func (a *analysis) readOnly(oid uint32) {
	if a.cat.LocksRows(oid) {
		a.out.Effects.ReadOnly = false
	}
	for _, member := range a.cat.BaseRelations(oid) {
		if r, ok := a.cat.Relation(member); ok && (r.Kind == catalog.KindForeignTable || r.RowSecurity) {
			a.out.Effects.ReadOnly, a.facts.calls = false, true
			a.out.Effects.RunsCode = a.out.Effects.RunsCode || r.RowSecurity // what its policies call is not looked up
		}
	}
	for _, f := range a.cat.RuleFunctions(oid) {
		if f.OID >= catalog.FirstUserOID || writes(f) || f.Volatility == 'v' && !harmlessVolatile[f.Name] {
			a.out.Effects.ReadOnly, a.facts.calls = false, true
		}
		a.out.Effects.RunsCode = a.out.Effects.RunsCode || !f.Compiled || f.Name == "set_config"
	}
}

// credentialRelations hold password digests or connection passwords; the views
// of the information schema show the stored credential's own.
var credentialRelations = map[string]bool{
	"pg_catalog.pg_authid": true, "pg_catalog.pg_shadow": true, "pg_catalog.pg_subscription": true,
	"pg_catalog.pg_user_mapping": true, "pg_catalog.pg_user_mappings": true,
	"information_schema.user_mapping_options": true, "information_schema._pg_user_mappings": true,
}

// credentialRelation finds a relation that holds credentials, directly or
// behind relations of users; the system's own views show no more than they
// should, unless they are listed themselves.
func (a *analysis) credentialRelation(r *catalog.Relation, seen map[uint32]bool) string {
	if seen[r.OID] {
		return ""
	}
	seen[r.OID] = true
	if r.OID < catalog.FirstUserOID && credentialRelations[r.String()] {
		return r.String()
	}
	if r.OID < catalog.FirstUserOID && r.Kind != catalog.KindToast {
		return ""
	}
	for _, oid := range a.cat.Reads(r.OID) {
		if next, ok := a.cat.Relation(oid); ok {
			if name := a.credentialRelation(next, seen); name != "" {
				return name
			}
		}
	}
	return ""
}

// creation says which relations a CREATE may make: in the named schema, or in
// the first of the search path that is not the system's.
func (a *analysis) creation(schema, name string) string {
	if schema != "" {
		return schema + "." + name
	}
	for _, s := range a.path {
		if s != catalog.SystemSchema && !isTempSchema(s) {
			return s + "." + name
		}
	}
	return name
}
