// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import "github.com/doorward/doorward/proxy/mask"

// kinds are the shapes of the built-in types' values by OID (pg_type.dat). What is
// not here has a shape of its own.
var kinds = map[uint32]mask.Kind{
	25: mask.Text, 1043: mask.Text, 19: mask.Text, 705: mask.Text, // text, varchar, name, unknown
	1042: mask.Char, // bpchar
	114:  mask.JSON, 3802: mask.JSONB,
	21: mask.Int2, 23: mask.Int4, 20: mask.Int8, 1700: mask.Numeric,
	700: mask.Float4, 701: mask.Float8, 2950: mask.UUID,
	1082: mask.Date, 1083: mask.Time, 1266: mask.Time, 1114: mask.Timestamp, 1184: mask.Timestamp, 1186: mask.Interval,
	17: mask.Bytes, 16: mask.Bool, 869: mask.Inet, 650: mask.Inet,
}

// kind is the shape of a type's values in a format. Domains have that of what they
// stand on, the string types of users and extensions that of text, in binary
// format where they are sent as text is.
func (l *loaded) kind(typ uint32, binary bool) mask.Kind {
	if k, ok := kinds[typ]; ok {
		return k
	}
	if l == nil {
		return mask.Other
	}
	form := l.Form(typ)
	if form.Text && (!binary || form.Binary) {
		return mask.Text
	}
	return kinds[form.Type]
}

// isText says that a value of the kind can be any text.
func isText(k mask.Kind) bool { return k == mask.Text || k == mask.Char }
