-- Functions, operators, casts and aggregates of users.
-- every case: refused

-- case: SQL
SELECT leak(1);
-- case: immutable, folded when planned
SELECT leak_immutable(1);
-- case: immutable, in a statement that returns nothing
SELECT 1 WHERE leak_immutable(1) IS NULL AND false;
-- case: immutable, in EXPLAIN
EXPLAIN VERBOSE SELECT leak_immutable(1);
-- case: PL/pgSQL
SELECT leak_pl(1);
-- case: that raises it while planned
EXPLAIN SELECT leak_error(1);
-- case: in PREPARE
PREPARE p AS SELECT leak_immutable(1);
-- case: SETOF
SELECT * FROM leak_set();
-- case: SETOF in the select list
SELECT (leak_set()).email;
-- case: BEGIN ATOMIC
SELECT leak_atomic();
-- case: of a row
SELECT fullname(c) FROM customers c;
-- case: attribute notation
SELECT c.fullname FROM customers c;
-- case: attribute notation over a view
SELECT o.fullname FROM (SELECT customers AS o FROM customers) x;
-- case: with schema
SELECT public.leak(1);
-- case: quoted
SELECT "leak"(1);
-- case: as a table function with ordinality
SELECT * FROM leak(1) WITH ORDINALITY;
-- case: ROWS FROM
SELECT * FROM ROWS FROM (leak(1), generate_series(1, 2));
-- case: LATERAL
SELECT * FROM notes n, LATERAL leak(n.id);
-- case: in VALUES
VALUES (leak(1));
-- case: as an operator
SELECT a === b FROM notes a, notes b WHERE a.id = b.id;
-- case: as an operator with schema
SELECT a OPERATOR(public.===) b FROM notes a, notes b;
-- case: ANY with an operator
SELECT a === ANY (ARRAY[a]) FROM notes a;
-- case: as a cast
SELECT CAST(ROW('x', 1)::pair AS money);
-- case: as an aggregate
SELECT leak_agg(id) FROM notes;
-- case: as a window aggregate
SELECT leak_agg(id) OVER () FROM notes;
-- case: in ORDER BY
SELECT id FROM notes ORDER BY leak(id);
-- case: in LIMIT
SELECT id FROM notes LIMIT length(leak(1));
-- case: in a default
CREATE TEMP TABLE t (id int, e text DEFAULT leak(1));
-- case: in a generated column
CREATE TEMP TABLE t (id int, e text GENERATED ALWAYS AS (leak_immutable(id)) STORED);
-- case: in a check
CREATE TEMP TABLE t (id int CHECK (leak_check('zqK%')));
-- case: in an index
CREATE INDEX ON notes (leak_immutable(id));
-- case: in a partition key
CREATE TEMP TABLE t (id int) PARTITION BY LIST (leak_immutable(id));
-- case: in SET
UPDATE notes SET body = leak(1);
-- case: in RETURNING
DELETE FROM notes WHERE false RETURNING leak(1);
-- case: in ON CONFLICT
INSERT INTO notes (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET body = leak(1);
-- case: in COPY
COPY (SELECT leak(1)) TO STDOUT;
-- case: in COPY FROM WHERE
COPY notes FROM STDIN WHERE leak(1) IS NOT NULL;
-- case: CALL
CALL leak_call(NULL);
-- case: DO
DO $$ BEGIN RAISE NOTICE '%', (SELECT email FROM public.customers LIMIT 1); END $$;
-- case: EXECUTE inside of DO
DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'CREATE TABLE public.stolen AS TABLE public.customers'; END $$;
-- case: a new function
CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS 'SELECT email FROM customers';
-- case: a new temporary function
CREATE FUNCTION pg_temp.mine() RETURNS text LANGUAGE sql AS 'SELECT email FROM customers';
-- case: a new procedure
CREATE PROCEDURE mine() LANGUAGE sql AS 'SELECT 1';
-- case: a new operator
CREATE OPERATOR ==== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
-- case: a new cast
CREATE CAST (customers AS text) WITH INOUT;
-- case: a new aggregate
CREATE AGGREGATE mine (text) (SFUNC = textcat, STYPE = text);
-- case: a new trigger
CREATE TRIGGER mine AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION notes_copy();
-- case: a new event trigger
CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION notes_copy();
-- case: a new rule
CREATE RULE mine AS ON UPDATE TO notes DO ALSO INSERT INTO notes SELECT id + 1000, email FROM customers;
-- case: a new policy
CREATE POLICY mine ON notes USING (leak(id) IS NOT NULL);
-- case: a new type with a function of input
CREATE TYPE mine AS RANGE (SUBTYPE = text, SUBTYPE_DIFF = leak);
-- case: dblink
SELECT * FROM dblink('dbname=shop', 'SELECT email FROM customers') AS t (e text);
-- case: dblink_exec
SELECT dblink_exec('dbname=shop', 'CREATE TABLE stolen AS TABLE customers');
-- case: dblink_connect_u
SELECT dblink_connect_u('dbname=shop');
-- case: page inspection
SELECT get_raw_page('customers', 0);
-- case: heap pages, taken apart
SELECT t_data FROM heap_page_items(get_raw_page('customers', 0));
-- case: B-tree pages
SELECT data FROM bt_page_items('customers_lower', 1);
-- case: row locks
SELECT * FROM pgrowlocks('customers');
-- case: statistics of pages
SELECT tuple_len FROM pgstattuple('customers');
-- case: visibility
SELECT * FROM pg_visibility('customers');
-- case: pgcrypto keeps state
SELECT pgp_sym_encrypt('x', 'k');
-- case: crosstab
SELECT * FROM crosstab('SELECT id, ''e'', email FROM customers') AS t (id int, e text);
-- case: connectby
SELECT * FROM connectby('customers', 'email', 'card', 'x', 0) AS t (a text, b text, c int);
-- case: normal_rand of the same extension
SELECT * FROM normal_rand(1, 0, 1);
-- case: xpath_table
SELECT * FROM xpath_table('id', 'doc', 'customers', '/a', 'true') AS t (id int, a text);
