// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

// IsCheckedType says whether making a value of the type calls functions of users:
// a domain whose CHECK or default does, or an array, composite, range or further
// domain over one. Functions in C that belong to an extension do not count: a
// superuser installed them as a whole.
func (c *Catalog) IsCheckedType(schema, name string) bool {
	return c.checkedNames[qualified{schema, name}]
}

// IsCheckedOID is IsCheckedType by the type's OID.
func (c *Catalog) IsCheckedOID(oid uint32) bool { return c.checked[oid] }

// HasCheckedTypes says whether there is any such type.
func (c *Catalog) HasCheckedTypes() bool { return len(c.checked) > 0 }

// HoldsChecked says whether columns of the relation, or of one that it is made of,
// have such a type: simple for a domain over a type that is none, nested for others.
func (c *Catalog) HoldsChecked(oid uint32) (simple, nested bool) {
	if len(c.checked) == 0 {
		return false, false
	}
	for _, member := range c.closures[oid] {
		r := c.relations[member]
		if r == nil {
			continue
		}
		for _, column := range r.Columns {
			if !c.checked[column.Type] {
				continue
			}
			if base := c.Form(column.Type).Type; base != column.Type && !c.checked[base] {
				simple = true
			} else {
				nested = true
			}
		}
	}
	return simple, nested
}

// queryChecked begins with the domains themselves. Types depend on those they are
// made from: domains on what they stand on, arrays on their elements, ranges on
// their bounds, multiranges on ranges. Composites have columns.
const queryChecked = `
WITH RECURSIVE users AS (
  SELECT p.oid
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
   WHERE p.oid >= 16384
     AND NOT (l.lanname = 'c' AND EXISTS (SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
            AND d.objid = p.oid AND d.deptype = 'e'))),
checks AS (
  SELECT contypid AS type, conbin::text AS tree FROM pg_catalog.pg_constraint WHERE contypid <> 0
  UNION ALL
  SELECT oid, typdefaultbin::text FROM pg_catalog.pg_type WHERE typtype = 'd' AND typdefaultbin IS NOT NULL),
parts AS (
  SELECT d.refobjid AS part, d.objid AS whole
    FROM pg_catalog.pg_depend d
   WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
     AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
  UNION ALL
  SELECT a.atttypid, c.reltype
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
   WHERE a.atttypid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.reltype <> 0),
checked AS (
  SELECT k.type
    FROM checks k, LATERAL pg_catalog.regexp_matches(k.tree, ':(funcid|opfuncid) ([1-9][0-9]*)', 'g') m
   WHERE m[2]::pg_catalog.oid IN (SELECT oid FROM users)
  UNION
  SELECT p.whole FROM checked c JOIN parts p ON p.part = c.type)
SELECT t.oid, n.nspname, t.typname
  FROM checked c
  JOIN pg_catalog.pg_type t ON t.oid = c.type
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace`

func (b *builder) addChecked(row []string) error {
	id, err := oid(row[0])
	if err == nil {
		b.c.checked[id] = true
		b.c.checkedNames[qualified{row[1], row[2]}] = true
	}
	return err
}
