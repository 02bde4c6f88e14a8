// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// systemValues are the system's relations that hold values of other relations,
// or the text of other statements, and which of their columns do; those of a
// name that begins with ! are the only ones that do not. The other columns are
// names, counts and states.
var systemValues = map[string][]string{
	"pg_statistic":          {"!starelid", "!staattnum", "!stainherit"},
	"pg_statistic_ext_data": {"!stxoid", "!stxdinherit"},
	"pg_stats":              {"!schemaname", "!tablename", "!attname", "!inherited"},
	"pg_stats_ext": {
		"!schemaname", "!tablename", "!statistics_schemaname", "!statistics_name", "!statistics_owner", "!attnames",
		"!exprs", "!kinds", "!inherited",
	},
	"pg_stats_ext_exprs": {
		"!schemaname", "!tablename", "!statistics_schemaname", "!statistics_name", "!statistics_owner", "!expr", "!inherited",
	},
	"pg_largeobject":         {"data"},
	"pg_stat_activity":       {"query"},
	"pg_prepared_xacts":      {"gid"},
	"pg_prepared_statements": {"statement"},
	"pg_cursors":             {"statement"},
	// These read the same function as pg_stat_activity, but not the text.
	"pg_stat_replication": {}, "pg_stat_ssl": {}, "pg_stat_gssapi": {},
}

// statementStatistics is the view of the extension of that name.
const statementStatistics = "pg_stat_statements"

func isSystem(r *catalog.Relation) bool {
	return r.OID < catalog.FirstUserOID && r.Schema == catalog.SystemSchema
}

// holdsValues says whether a relation of the system holds values of others.
func holdsValues(r *catalog.Relation) bool {
	return isSystem(r) && len(systemValues[r.Name]) > 0 || r.Name == statementStatistics
}

// hiddenValues says which columns of a relation hold values of others, besides
// those that are masked by policy.
func (l *lineage) hiddenValues(r *catalog.Relation) func(column string) bool {
	switch {
	case r.Kind == catalog.KindToast:
		toast := l.reach(r.OID).on()
		return func(string) bool { return toast }
	case r.Name == statementStatistics:
		return func(column string) bool { return column == "query" }
	case !isSystem(r):
		return func(string) bool { return false }
	}
	list := systemValues[r.Name]
	except := len(list) > 0 && list[0][0] == '!'
	return func(column string) bool {
		if except {
			return !slices.Contains(list, "!"+column)
		}
		return slices.Contains(list, column)
	}
}
