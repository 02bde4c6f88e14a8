-- A schema that is denied, on every way to it.
-- every case: refused

-- case: by name
SELECT * FROM vault.keys;
-- case: by the search path
SET search_path = vault;
SELECT * FROM keys;
-- case: by the search path of a transaction
BEGIN;
SET LOCAL search_path = vault, public;
SELECT secret FROM keys;
-- case: by set_config
SELECT set_config('search_path', 'vault', false);
SELECT * FROM keys;
-- case: by set_config in the text itself
SELECT set_config('search_path', 'vault', false), (SELECT secret FROM keys);
-- case: the path moves between PREPARE and EXECUTE
SET search_path = shadow;
PREPARE k AS SELECT * FROM keys;
SET search_path = vault;
EXECUTE k;
-- case: TABLE
TABLE vault.keys;
-- case: quoted
SELECT * FROM "vault"."keys";
-- case: Unicode
SELECT * FROM U&"v\0061ult".U&"k\0065ys";
-- case: with the database
SELECT * FROM shop.vault.keys;
-- case: in a subquery
SELECT (SELECT secret FROM vault.keys);
-- case: in a condition
SELECT 1 WHERE EXISTS (SELECT FROM vault.keys WHERE secret LIKE 'zq%');
-- case: in a CTE
WITH k AS (SELECT * FROM vault.keys) SELECT * FROM k;
-- case: in a CTE nobody reads
WITH k AS (SELECT * FROM vault.keys) SELECT 1;
-- case: in JOIN
SELECT k.secret FROM notes n JOIN vault.keys k ON k.id = n.id;
-- case: in LATERAL
SELECT l.* FROM notes n, LATERAL (SELECT secret FROM vault.keys) l;
-- case: in VALUES
VALUES ((SELECT secret FROM vault.keys));
-- case: in a set operation
SELECT body FROM notes UNION ALL SELECT secret FROM vault.keys;
-- case: in ORDER BY
SELECT id FROM notes ORDER BY (SELECT count(*) FROM vault.keys);
-- case: in LIMIT
SELECT id FROM notes LIMIT (SELECT count(*) FROM vault.keys);
-- case: behind a view
SELECT * FROM vault_view;
-- case: a count behind a view
SELECT n FROM vault_count;
-- case: through a rule of another relation
DELETE FROM newsletter WHERE id = 999;
-- case: behind a function
SELECT vault_read();
-- case: a function of the schema
SELECT vault.touch();
-- case: COPY
COPY vault.keys TO STDOUT;
-- case: COPY of a query
COPY (SELECT * FROM vault.keys) TO STDOUT;
-- case: a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM vault.keys;
-- case: PREPARE
PREPARE k AS SELECT * FROM vault.keys;
-- case: EXPLAIN
EXPLAIN SELECT * FROM vault.keys;
-- case: EXPLAIN ANALYZE
EXPLAIN ANALYZE SELECT * FROM vault.keys WHERE secret LIKE 'zq%';
-- case: LIKE takes the structure
CREATE TEMP TABLE t (LIKE vault.keys);
-- case: CREATE TEMP TABLE AS
CREATE TEMP TABLE t AS TABLE vault.keys;
-- case: SELECT INTO
SELECT * INTO TEMP t FROM vault.keys;
-- case: INSERT SELECT
INSERT INTO notes (id, body) SELECT id + 400, secret FROM vault.keys;
-- case: UPDATE FROM
UPDATE notes SET body = k.secret FROM vault.keys k;
-- case: a temporary view
CREATE TEMP VIEW v AS SELECT * FROM vault.keys;
-- case: the row type
SELECT NULL::vault.keys, k FROM vault.keys k;
-- case: TABLESAMPLE
SELECT * FROM vault.keys TABLESAMPLE system (100);
-- case: ONLY and *
SELECT * FROM ONLY (vault.keys);
-- case: query_to_xml
SELECT query_to_xml('SELECT * FROM vault.keys', true, true, '');
-- case: table_to_xml
SELECT table_to_xml('vault.keys', true, true, '');
-- case: schema_to_xml
SELECT schema_to_xml('vault', true, true, '');
-- case: dblink
SELECT * FROM dblink('dbname=shop', 'SELECT secret FROM vault.keys') AS t (s text);
-- case: ts_stat
SELECT * FROM ts_stat('SELECT to_tsvector(secret) FROM vault.keys');
-- case: crosstab
SELECT * FROM crosstab('SELECT id, ''a'', secret FROM vault.keys') AS t (id int, s text);
-- case: pages
SELECT * FROM heap_page_items(get_raw_page('vault.keys', 0));
-- case: currtid
SELECT currtid2('vault.keys', '(0,1)');
-- case: DO
DO $$ BEGIN PERFORM * FROM vault.keys; END $$;
-- case: a new function that does it
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS 'SELECT secret FROM vault.keys';
-- case: a temporary table that hides the name elsewhere
CREATE TEMP TABLE keys (id int, secret text);
SELECT * FROM keys, vault.keys k;
-- case: renaming it to somewhere allowed
ALTER TABLE vault.keys SET SCHEMA public;
-- case: granting it
GRANT SELECT ON vault.keys TO PUBLIC;
-- case: inheriting it
CREATE TEMP TABLE t () INHERITS (vault.keys);
-- case: a foreign key to it
CREATE TEMP TABLE t (id int REFERENCES vault.keys);
