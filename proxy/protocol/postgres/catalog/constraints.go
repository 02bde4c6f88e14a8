// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strconv"
)

// Constraint is something that rows of a relation are held against when they are
// written, and may be refused or moved by.
type Constraint struct {
	// Unique says that rows are held against other rows: a unique index or an
	// exclusion constraint. Else it is a CHECK, an index's expression or
	// condition, or the key of partitions: each row by itself.
	Unique bool
	// Always says that writing any column has a row checked: a CHECK that is NOT
	// VALID, which rows may fail already.
	Always bool
	// Columns are the names of those it looks at, sorted; nil means all.
	Columns []string
}

// ForeignKey is one foreign key: From's Columns are to be found in To's Keys.
type ForeignKey struct {
	From, To      uint32
	Columns, Keys []string
}

// Constraints returns what rows of the relation itself are held against, but for
// foreign keys. The slice is shared.
func (c *Catalog) Constraints(oid uint32) []Constraint { return c.constraints[oid] }

// ForeignKeys returns the foreign keys of a relation, those from it and those to
// it. The slice is shared.
func (c *Catalog) ForeignKeys(oid uint32) []*ForeignKey { return c.keys[oid] }

// queryConstraints gives relation, object, what it is (u: unique, c: check, a: check
// that always runs), and a column's number; 0 stands for the whole row. Expressions
// say in their stored tree which columns they look at.
const queryConstraints = `
SELECT i.indrelid, i.indexrelid, CASE WHEN i.indisunique OR i.indisexclusion THEN 'u' ELSE 'c' END, k.attnum
  FROM pg_catalog.pg_index i,
       LATERAL pg_catalog.unnest((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]) k(attnum)
 WHERE i.indrelid >= 16384 AND k.attnum > 0
   AND (i.indisunique OR i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
UNION
SELECT p.partrelid, p.partrelid, 'c', k.attnum
  FROM pg_catalog.pg_partitioned_table p, LATERAL pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) k(attnum)
 WHERE k.attnum > 0
UNION
SELECT e.relation, e.object, e.kind, m[1]::pg_catalog.int2
  FROM (SELECT indrelid AS relation, indexrelid AS object,
               CASE WHEN indisunique OR indisexclusion THEN 'u' ELSE 'c' END AS kind,
               pg_catalog.concat(indexprs::text, indpred::text) AS tree
          FROM pg_catalog.pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
        UNION ALL
        SELECT conrelid, oid, CASE WHEN convalidated THEN 'c' ELSE 'a' END, conbin::text
          FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0
        UNION ALL
        SELECT partrelid, partrelid, 'c', partexprs::text FROM pg_catalog.pg_partitioned_table) e,
       LATERAL pg_catalog.regexp_matches(e.tree, ':varattno ([0-9]+) ', 'g') m
 WHERE e.relation >= 16384
 ORDER BY 1, 2, 3, 4`

// queryForeignKeys gives each pair of columns of each foreign key.
const queryForeignKeys = `
SELECT k.oid, k.conrelid, k.confrelid, p.col, p.key
  FROM pg_catalog.pg_constraint k, LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) p(col, key)
 WHERE k.contype = 'f'
 ORDER BY 1, 4`

// numbers reads a row of numbers but for the field skip.
func numbers(row []string, skip int) ([]uint32, error) {
	out := make([]uint32, len(row))
	for i, text := range row {
		if i == skip {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("not a number: %q", text)
		}
		out[i] = uint32(n)
	}
	return out, nil
}

// name is the name of a relation's column, empty where there is none of the
// number or the relation is a temporary one.
func (b *builder) name(relation, number uint32) string {
	if r := b.c.relations[relation]; r != nil {
		for _, c := range r.Columns {
			if uint32(c.Number) == number { //nolint:gosec // numbers of columns are from 1
				return c.Name
			}
		}
	}
	return ""
}

func (b *builder) addConstraint(row []string) error {
	n, err := numbers(row, 2)
	if err != nil {
		return err
	}
	relation, object, number := n[0], n[1], n[3]
	all := b.c.constraints[relation]
	if key := [2]uint32{relation, object}; len(all) == 0 || b.last != key {
		b.last, all = key, append(all, Constraint{Unique: row[2] == "u", Always: row[2] == "a"})
		b.c.constraints[relation], b.whole = all, false
	}
	last := &all[len(all)-1]
	name := b.name(relation, number)
	switch {
	case b.whole:
	case name == "":
		last.Columns, b.whole = nil, true
	default:
		last.Columns = append(last.Columns, name)
		slices.Sort(last.Columns)
	}
	return nil
}

func (b *builder) addForeignKey(row []string) error {
	n, err := numbers(row, -1)
	if err != nil {
		return err
	}
	object, from, to := n[0], n[1], n[2]
	if b.key == nil || b.keyOf != object {
		b.keyOf, b.key = object, &ForeignKey{From: from, To: to}
		b.c.keys[from] = append(b.c.keys[from], b.key)
		if to != from {
			b.c.keys[to] = append(b.c.keys[to], b.key)
		}
	}
	b.key.Columns = append(b.key.Columns, b.name(from, n[3]))
	b.key.Keys = append(b.key.Keys, b.name(to, n[4]))
	return nil
}
