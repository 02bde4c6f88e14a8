// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"slices"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// declaredTypes are the types of users among those that a Parse gives its
// parameters. Bind makes values of them, before anything is executed.
type declaredTypes struct {
	oids []uint32
	// many says that there are more than are kept.
	many bool
}

// maxDeclared bounds what a prepared statement keeps.
const maxDeclared = 64

// declared reads the list of parameter types of a Parse, which is well formed.
func declared(list []byte) (d declaredTypes) {
	for rest := list[2:]; len(rest) >= 4; rest = rest[4:] {
		oid := binary.BigEndian.Uint32(rest)
		switch {
		case oid < catalog.FirstUserOID || slices.Contains(d.oids, oid):
		case len(d.oids) == maxDeclared:
			return declaredTypes{many: true}
		default:
			d.oids = append(d.oids, oid)
		}
	}
	return d
}

// call says whether making values of the types may call functions of users.
func (d declaredTypes) call(cat *catalog.Catalog) bool {
	return d.many && cat.HasCheckedTypes() || slices.ContainsFunc(d.oids, cat.IsCheckedOID)
}

var typesRefusal = &access.Refusal{
	Reason: access.ReasonMasked, Code: sql.StateInsufficientPrivilege,
	Message: "parameter has a type whose check calls a function that could read masked columns, and columns are masked for you",
	Hint:    "Declare the parameter with a built-in type, or ask for access to the masked columns.",
}
