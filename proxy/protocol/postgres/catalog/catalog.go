// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package catalog holds what the proxy knows of a PostgreSQL database's own
// catalog: relations, columns, what views read, inheritance, functions,
// operators and casts.
//
// A Catalog is an immutable snapshot, safe to share between goroutines. It is
// taken with [Load] on a connection of the proxy's own, when the target is
// first used, after DDL was seen, and once on a miss. Temporary relations of
// sessions are not in it.
package catalog

import (
	"iter"
	"slices"
)

// FirstUserOID is the first OID the server gives to objects that are not part
// of the system catalogs (FirstNormalObjectId in access/transam.h).
const FirstUserOID = 16384

// Schema names with a meaning of their own.
const (
	SystemSchema = "pg_catalog"
	TempSchema   = "pg_temp"
)

// Relation kinds, pg_class.relkind.
const (
	KindTable            = 'r'
	KindIndex            = 'i'
	KindSequence         = 'S'
	KindToast            = 't'
	KindView             = 'v'
	KindMaterializedView = 'm'
	KindComposite        = 'c'
	KindForeignTable     = 'f'
	KindPartitioned      = 'p'
	KindPartitionedIndex = 'I'
)

// Column is one column of a relation, system columns excluded.
type Column struct {
	// Number is pg_attribute.attnum, from 1.
	Number int16
	Name   string
	// Type is the OID of the column's type.
	Type uint32
	// Collation is the OID of the column's collation, 0 for a type without.
	Collation uint32
	// Generated says that the column is computed from others.
	Generated bool
	// DerivedFrom names the columns of the same relation that a generated
	// column is computed from. Empty for any other column.
	DerivedFrom []string
}

// Relation is one row of pg_class with its columns.
type Relation struct {
	OID     uint32
	Schema  string
	Name    string
	Kind    byte
	Columns []Column
	// RowSecurity says that row security policies, which may call functions,
	// apply to the relation.
	RowSecurity bool
	// Definition is the query of a view or materialized view of users, with
	// every name qualified that is not in pg_catalog. Empty for the others.
	Definition string
	// WriteRules says that rules take the place of, or are added to, what
	// writes the relation.
	WriteRules bool
	// Unique are the numbers of the columns that unique and exclusion
	// constraints look at; 0 stands for an expression or a condition.
	Unique []int16

	columns map[string]int
}

// String is the qualified name without quotes, as policies write it.
func (r *Relation) String() string { return r.Schema + "." + r.Name }

// Column finds a column by its exact name.
func (r *Relation) Column(name string) (Column, bool) {
	i, ok := r.columns[name]
	if !ok {
		return Column{}, false
	}
	return r.Columns[i], true
}

// ColumnByNumber finds a column by pg_attribute.attnum, as a RowDescription
// reports it.
func (r *Relation) ColumnByNumber(number int16) (Column, bool) {
	for _, c := range r.Columns {
		if c.Number == number {
			return c, true
		}
	}
	return Column{}, false
}

// Function is one row of pg_proc: function, procedure, aggregate or window
// function.
type Function struct {
	OID    uint32
	Schema string
	Name   string
	// MinArgs and MaxArgs bound the number of arguments of a call; MaxArgs is
	// -1 where the function is variadic.
	MinArgs, MaxArgs int
	// Volatility is pg_proc.provolatile: 'i', 's' or 'v'.
	Volatility byte
	// SecurityDefiner functions run with their owner's rights.
	SecurityDefiner bool
	// TakesRow says that the function can be called in attribute notation:
	// one argument suffices and the first one accepts a composite value.
	TakesRow bool
	// Compiled says that the function is built in or in C, which only superusers
	// can define.
	Compiled bool
	// Extension says that the function belongs to an extension, and to a superuser,
	// as those of its script do: others may only add functions of their own.
	Extension bool
}

// String is the qualified name without quotes.
func (f *Function) String() string { return f.Schema + "." + f.Name }

// Accepts says whether a call with n arguments may mean this function.
func (f *Function) Accepts(n int) bool {
	return n >= f.MinArgs && (f.MaxArgs < 0 || n <= f.MaxArgs)
}

type qualified struct{ schema, name string }

// Catalog is an immutable snapshot of a database's catalog.
type Catalog struct {
	database  string
	relations map[uint32]*Relation
	byName    map[qualified]*Relation
	functions map[qualified][]*Function
	byOID     map[uint32]*Function
	types     map[qualified]bool
	operators map[qualified]bool
	casts     map[qualified]bool

	used   map[use][]int16     // columns that a rule owner names
	reads  map[uint32][]uint32 // rule owner or toast table -> relations it reads
	kin    map[uint32][]uint32 // inheritance and partition parents and children
	invoke map[uint32][]uint32 // rule owner -> functions it calls

	closures map[uint32][]uint32
	derived  map[uint32][]uint32

	children, parents map[uint32][]uint32 // inheritance and partitions
	written           map[uint32][]uint32 // owner of rules for writes -> relations they name
	references        map[uint32][]reference
	code              map[uint32]bool // relations whose defaults, checks or indexes call functions of users

	locking map[uint32]bool // rule owners that lock the rows they read
	hidden  bool

	forms    map[uint32]Form // types of users whose values are known, and domains
	triggers map[uint32]bool // relations with triggers of users

	constraints map[uint32][]Constraint
	keys        map[uint32][]*ForeignKey // both from and to a relation

	checked      map[uint32]bool // types whose values call functions of users
	checkedNames map[qualified]bool
}

// Database is the name of the database the snapshot was taken from.
func (c *Catalog) Database() string { return c.database }

// Relation finds a relation by OID.
func (c *Catalog) Relation(oid uint32) (*Relation, bool) {
	r, ok := c.relations[oid]
	return r, ok
}

// Lookup finds a relation by its exact schema and name.
func (c *Catalog) Lookup(schema, name string) (*Relation, bool) {
	r, ok := c.byName[qualified{schema, name}]
	return r, ok
}

// Relations yields every relation, in no order.
func (c *Catalog) Relations() iter.Seq[*Relation] {
	return func(yield func(*Relation) bool) {
		for _, r := range c.relations {
			if !yield(r) {
				return
			}
		}
	}
}

// Functions returns all overloads of a function. The slice is shared.
func (c *Catalog) Functions(schema, name string) []*Function {
	return c.functions[qualified{schema, name}]
}

// HasType says whether a type that is not an array exists.
func (c *Catalog) HasType(schema, name string) bool { return c.types[qualified{schema, name}] }

// HasUserOperator says whether a user-defined operator of that name exists.
// Operators that belong to an extension are not counted: a superuser installed
// them as a whole.
func (c *Catalog) HasUserOperator(schema, name string) bool {
	return c.operators[qualified{schema, name}]
}

// HasUserCast says whether a user-defined cast to the type runs a function.
// Casts of extensions are not counted, as for operators.
func (c *Catalog) HasUserCast(schema, typeName string) bool {
	return c.casts[qualified{schema, typeName}]
}

// BaseRelations returns the relation itself, everything that it reads through
// views, materialized views, rules and toast, and every inheritance or
// partition parent and child of those, transitively, in ascending order. The
// slice is shared.
func (c *Catalog) BaseRelations(oid uint32) []uint32 { return c.closures[oid] }

// Kin returns the relation and all inheritance or partition parents and
// children, transitively, in ascending order.
func (c *Catalog) Kin(oid uint32) []uint32 {
	return reach(oid, c.kin)
}

// Derived returns those members of BaseRelations(oid) that are read by a view,
// rule or toast table on the way, so that a value read from the relation may
// come from them under another name. Empty for a plain table. The slice is
// shared.
func (c *Catalog) Derived(oid uint32) []uint32 { return c.derived[oid] }

// RuleFunctions returns the functions that the relation's rules call, those of
// the views it reads included.
func (c *Catalog) RuleFunctions(oid uint32) []*Function {
	var out []*Function
	for _, rel := range c.closures[oid] {
		for _, f := range c.invoke[rel] {
			if fn, ok := c.byOID[f]; ok {
				out = append(out, fn)
			}
		}
	}
	return out
}

// LocksRows says whether reading the relation locks rows, as a view with FOR
// UPDATE does, itself or behind other views.
func (c *Catalog) LocksRows(oid uint32) bool {
	return slices.ContainsFunc(c.closures[oid], func(member uint32) bool { return c.locking[member] })
}

// HasHiddenCalls says whether values may call functions that a statement does
// not name: user-defined casts that run a function, but for those of
// extensions, or checks of domains by functions that are not built in or are
// volatile.
func (c *Catalog) HasHiddenCalls() bool { return c.hidden }

// reach returns start and everything reachable from it, sorted.
func reach(start uint32, edges ...map[uint32][]uint32) []uint32 {
	seen := map[uint32]bool{start: true}
	out := []uint32{start}
	for i := 0; i < len(out); i++ {
		for _, e := range edges {
			for _, next := range e[out[i]] {
				if !seen[next] {
					seen[next] = true
					out = append(out, next)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// Reads returns what the relation's rules read directly, or the owner of a
// toast table. The slice is shared.
func (c *Catalog) Reads(oid uint32) []uint32 { return c.reads[oid] }
