// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// typ is the type of a value as far as the list of total functions needs it. A
// type that is none of those below is typeOther, or its OID shifted by eight
// bits where that is known.
type typ uint64

// typeOther is any type that nothing is known of, such as those of users,
// enumerations, text with a collation of its own.
const (
	typeOther typ = iota
	// typeLiteral is a constant that takes the type it is used as: whether it
	// can is found out before any row is read.
	typeLiteral
	typeText // text, varchar, char(n), name, with the default collation
	typeBool
	typeInt2
	typeInt4
	typeInt8
	typeNumeric
	typeFloat4
	typeFloat8
	typeDate
	typeTime
	typeTimestamp
	typeTimestamptz
	typeInterval
	typeUUID
	typeBytea
	typeJSON
	typeJSONB
	typeArray // of one of the above
	typeRow
	typeRowJSON // a row with a column of type json in it
)

// typeNames are the names of types in pg_catalog and, in order, their OIDs
// (pg_type.dat). Aliases of the grammar come as these names.
var typeNames = map[string]struct {
	typ typ
	oid uint32
}{
	"text": {typeText, 25}, "varchar": {typeText, 1043}, "bpchar": {typeText, 1042}, "name": {typeText, 19},
	"bool": {typeBool, 16}, "int2": {typeInt2, 21}, "int4": {typeInt4, 23}, "int8": {typeInt8, 20},
	"numeric": {typeNumeric, 1700}, "float4": {typeFloat4, 700}, "float8": {typeFloat8, 701},
	"date": {typeDate, 1082}, "time": {typeTime, 1083}, "timestamp": {typeTimestamp, 1114},
	"timestamptz": {typeTimestamptz, 1184}, "interval": {typeInterval, 1186},
	"uuid": {typeUUID, 2950}, "bytea": {typeBytea, 17}, "json": {typeJSON, 114}, "jsonb": {typeJSONB, 3802},
}

var typesByOID = func() map[uint32]typ {
	out := map[uint32]typ{}
	for _, t := range typeNames {
		out[t.oid] = t.typ
	}
	return out
}()

// Collations that comparisons of text cannot fail under when they meet: the
// default one, and the one of name (pg_collation.dat).
const (
	collationDefault = 100
	collationC       = 950
)

func columnType(c catalog.Column) typ {
	t := typesByOID[c.Type]
	if t == typeOther || t == typeText && c.Collation != collationDefault && c.Collation != collationC {
		return typ(c.Type) << 8
	}
	return t
}

// castType is the type that a cast or definition names. bare says that it has
// no modifier, such as the 3 of varchar(3).
func castType(t *ast.TypeName) (out typ, bare bool) {
	if t == nil || t.Setof || t.PctType || t.Names == nil {
		return typeOther, false
	}
	schema, name, ok := names(t.Names)
	if !ok || schema != "" && schema != catalog.SystemSchema {
		return typeOther, false
	}
	out = typeNames[name].typ
	bare = t.Typmods == nil || len(t.Typmods.Items) == 0
	if t.ArrayBounds != nil && len(t.ArrayBounds.Items) > 0 {
		if out != typeOther && bare {
			return typeArray, true
		}
		return typeOther, false
	}
	return out, bare
}

// numbers are in the order in which each turns into the next one by itself.
// Up to numeric that never fails; a numeric may be too large for a float.
var numbers = []typ{typeInt2, typeInt4, typeInt8, typeNumeric, typeFloat4, typeFloat8}

func rank(t typ) int {
	for i, n := range numbers {
		if n == t {
			return i
		}
	}
	return -1
}

// common is the type that two values get where one column holds both, and
// whether they always can.
func common(x, y typ) (typ, bool) {
	switch {
	case x == y:
		return x, x != typeOther && x != typeArray && x != typeRow && x != typeRowJSON
	case x == typeLiteral:
		return y, y != typeOther
	case y == typeLiteral:
		return x, x != typeOther
	}
	i, j := rank(x), rank(y)
	if i < 0 || j < 0 {
		return typeOther, false
	}
	if i > j {
		i, j = j, i
	}
	return numbers[j], numbers[i] != typeNumeric
}

// sortable says whether values of the type can always be compared.
func sortable(t typ) bool { return t >= typeLiteral && t <= typeBytea || t == typeJSONB }

// printable says whether values of the type always have a text.
func printable(t typ) bool { return t >= typeLiteral && t <= typeArray }
