// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

// The introspection queries. Every name is schema-qualified, so that no object
// on the login role's search path can stand in for a system one. Temporary
// objects are left out: they belong to one session.
const (
	querySettings = `SET LOCAL search_path = pg_catalog`

	queryDatabase = `SELECT pg_catalog.current_database()`

	queryRelations = `
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't'`

	queryColumns = `
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.attcollation, a.attgenerated <> ''
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relpersistence <> 't'
   AND c.relkind NOT IN ('i', 'I')
 ORDER BY a.attrelid, a.attnum`

	// A generated column's expression depends on the columns it reads; the
	// dependency hangs on the column before PostgreSQL 15 and on its default
	// since.
	queryGenerated = `
SELECT DISTINCT a.attrelid, a.attnum, s.attname
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
  JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
   AND ((d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
         AND d.objid = a.attrelid AND d.objsubid = a.attnum)
     OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid))
  JOIN pg_catalog.pg_attribute s ON s.attrelid = a.attrelid AND s.attnum = d.refobjsubid
 WHERE a.attgenerated <> ''`

	// pg_depend knows what the rules of user relations read; rules of system
	// views only say so in their stored tree, since system objects are pinned.
	// A toast table holds values of the table that owns it.
	queryRules = `
SELECT r.ev_class, d.refobjid, d.refobjsubid
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_depend d ON d.objid = r.oid
   AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
 WHERE d.refobjid <> r.ev_class
UNION
SELECT r.ev_class, m[1]::pg_catalog.oid, 0
  FROM pg_catalog.pg_rewrite r,
       LATERAL pg_catalog.regexp_matches(r.ev_action::text, ':relid ([1-9][0-9]*)', 'g') m
 WHERE m[1]::pg_catalog.oid <> r.ev_class
UNION
SELECT reltoastrelid, oid, 0 FROM pg_catalog.pg_class
 WHERE reltoastrelid <> 0 AND relpersistence <> 't'`

	// The definitions of views, with every name qualified that is not in
	// pg_catalog. Those of the system's own views are not asked for: what they
	// hold is known. pg_get_viewdef locks the view and what it reads, so views
	// are left out whose locks another session, perhaps one that waits for this
	// very catalog, holds or waits for; the rest is bounded by lock_timeout.
	querySavepoint = `SAVEPOINT views`
	queryPatience  = `SET LOCAL lock_timeout = '200ms'`
	queryForget    = `ROLLBACK TO SAVEPOINT views`
	queryViews     = `
SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid)
  FROM pg_catalog.pg_class c
 WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384 AND c.relpersistence <> 't'
   AND NOT EXISTS (SELECT
         FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
          AND l.pid <> pg_catalog.pg_backend_pid()
          AND (l.relation = c.oid OR l.relation IN (
               SELECT d.refobjid
                 FROM pg_catalog.pg_depend d
                 JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
                WHERE r.ev_class = c.oid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)))`

	// Rules other than that of a view: what writing the relation does, and what
	// RETURNING shows, is theirs.
	queryWriteRules = `SELECT DISTINCT ev_class FROM pg_catalog.pg_rewrite WHERE ev_type <> '1'`

	// Columns that a unique index holds, expressions and partial ones included;
	// 0 stands for an expression.
	queryUnique = `
SELECT i.indrelid, k.attnum
  FROM pg_catalog.pg_index i, LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) k(attnum)
 WHERE i.indisunique AND i.indrelid >= 16384
UNION
SELECT i.indrelid, 0
  FROM pg_catalog.pg_index i
 WHERE i.indisunique AND i.indrelid >= 16384 AND i.indpred IS NOT NULL
UNION
SELECT i.indrelid, k.attnum
  FROM pg_catalog.pg_index i, LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) k(attnum)
 WHERE i.indisexclusion AND i.indrelid >= 16384`

	queryRuleFunctions = `
SELECT DISTINCT r.ev_class, m[2]::pg_catalog.oid
  FROM pg_catalog.pg_rewrite r,
       LATERAL pg_catalog.regexp_matches(r.ev_action::text,
         ':(funcid|aggfnoid|winfnoid|opfuncid) ([1-9][0-9]*)', 'g') m`

	queryInheritance = `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits`

	// Attribute notation, (row).f, calls f where its first argument accepts a
	// composite value: a composite type, a domain or a polymorphic pseudo-type.
	queryFunctions = `
SELECT p.oid, n.nspname, p.proname, p.pronargs - p.pronargdefaults, p.pronargs,
       p.provariadic <> 0, p.provolatile, p.prosecdef,
       COALESCE((SELECT t.typtype IN ('c', 'd', 'p') FROM pg_catalog.pg_type t
                  WHERE t.oid = p.proargtypes[0]), false)
         AND p.pronargs - p.pronargdefaults <= 1,
       l.lanname IN ('internal', 'c'),
       EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
         AND EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.oid = p.proowner AND o.rolsuper)
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang`

	// What the rules for INSERT, UPDATE and DELETE name, those of views included.
	queryWritten = `
SELECT DISTINCT r.ev_class, m[1]::pg_catalog.oid
  FROM pg_catalog.pg_rewrite r,
       LATERAL pg_catalog.regexp_matches(r.ev_action::text, ':relid ([1-9][0-9]*)', 'g') m
 WHERE r.ev_type <> '1' AND m[1]::pg_catalog.oid <> r.ev_class`

	queryReferences = `
SELECT confrelid, conrelid, confdeltype, confupdtype
  FROM pg_catalog.pg_constraint
 WHERE contype = 'f'`

	// Functions of users behind column defaults, those of domains included,
	// checks, indexes and partition bounds.
	queryCode = `
SELECT DISTINCT e.relation
  FROM (SELECT adrelid AS relation, adbin::text AS tree FROM pg_catalog.pg_attrdef
        UNION ALL
        SELECT a.attrelid, t.typdefaultbin::text FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE t.typdefaultbin IS NOT NULL
        UNION ALL
        SELECT conrelid, conbin::text FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0
        UNION ALL
        SELECT indrelid, pg_catalog.concat(indexprs::text, indpred::text) FROM pg_catalog.pg_index
         WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
        UNION ALL
        SELECT partrelid, partexprs::text FROM pg_catalog.pg_partitioned_table WHERE partexprs IS NOT NULL
        UNION ALL
        SELECT oid, relpartbound::text FROM pg_catalog.pg_class WHERE relpartbound IS NOT NULL) e,
       LATERAL pg_catalog.regexp_matches(e.tree, ':(funcid|opfuncid) ([1-9][0-9]*)', 'g') m
 WHERE m[2]::pg_catalog.oid >= 16384`

	queryTypes = `
SELECT n.nspname, t.typname
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typcategory <> 'A'`

	queryOperators = `
SELECT DISTINCT n.nspname, o.oprname
  FROM pg_catalog.pg_operator o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
 WHERE o.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
          AND d.objid = o.oid AND d.deptype = 'e')`

	queryCasts = `
SELECT DISTINCT n.nspname, t.typname
  FROM pg_catalog.pg_cast k
  JOIN pg_catalog.pg_type t ON t.oid = k.casttarget
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE k.oid >= 16384 AND k.castmethod = 'f'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass
          AND d.objid = k.oid AND d.deptype = 'e')`

	// What runs without being named: the row locks of views, which belong to a
	// relation; implicit casts, which functions such as to_json look for too,
	// and the checks of domains, which any value may meet and stand for 0.
	queryHidden = `
SELECT r.ev_class
  FROM pg_catalog.pg_rewrite r
 WHERE r.ev_action::text ~ 'ROWMARKCLAUSE'
UNION
SELECT 0
  FROM pg_catalog.pg_cast k
 WHERE k.oid >= 16384 AND k.castmethod = 'f'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass
          AND d.objid = k.oid AND d.deptype = 'e')
UNION
SELECT 0
  FROM pg_catalog.pg_constraint k,
       LATERAL pg_catalog.regexp_matches(k.conbin::text, ':(funcid|opfuncid) ([1-9][0-9]*)', 'g') m
  JOIN pg_catalog.pg_proc p ON p.oid = m[2]::pg_catalog.oid
 WHERE k.contypid <> 0 AND (p.oid >= 16384 OR p.provolatile = 'v')`
)
