-- Writing where only reading is allowed, behind every form of a statement that reads.
-- every case: refused

-- case: INSERT
INSERT INTO orders (id) VALUES (1000);
-- case: UPDATE
UPDATE orders SET status = 'x';
-- case: DELETE
DELETE FROM orders WHERE id = 1;
-- case: TRUNCATE
TRUNCATE orders;
-- case: MERGE
MERGE INTO orders o USING notes n ON o.id = n.id WHEN MATCHED THEN DELETE;
-- case: a writable CTE behind SELECT
WITH d AS (DELETE FROM orders WHERE id = 2 RETURNING id) SELECT * FROM d;
-- case: a writable CTE that nobody reads
WITH d AS (UPDATE orders SET total = 0) SELECT 1;
-- case: a writable CTE inside of an allowed INSERT
WITH d AS (DELETE FROM orders WHERE id = 3 RETURNING id) INSERT INTO notes (id) SELECT id + 300 FROM d;
-- case: a writable CTE inside of a cursor
DECLARE c CURSOR FOR WITH d AS (DELETE FROM orders WHERE id = 4 RETURNING id) SELECT * FROM d;
-- case: EXPLAIN ANALYZE
EXPLAIN ANALYZE DELETE FROM orders WHERE id = 5;
-- case: EXPLAIN with options
EXPLAIN (FORMAT json, ANALYZE true) UPDATE orders SET total = 1;
-- case: EXPLAIN ANALYZE of a writable CTE
EXPLAIN ANALYZE WITH d AS (DELETE FROM orders WHERE id = 6 RETURNING id) SELECT * FROM d;
-- case: PREPARE of a write
PREPARE w1 AS DELETE FROM orders WHERE id = 7;
-- case: COPY FROM
COPY orders FROM STDIN;
-- case: COPY of a DELETE's rows
COPY (DELETE FROM orders WHERE id = 8 RETURNING id) TO STDOUT;
-- case: SELECT INTO
SELECT * INTO public.stolen FROM orders;
-- case: CREATE TABLE AS
CREATE TABLE public.stolen AS SELECT * FROM orders;
-- case: CREATE TABLE AS EXECUTE
PREPARE r1 AS SELECT * FROM orders;
CREATE TABLE public.stolen AS EXECUTE r1;
-- case: FOR UPDATE
SELECT * FROM orders FOR UPDATE;
-- case: FOR KEY SHARE in a subquery
SELECT * FROM (SELECT * FROM orders FOR KEY SHARE) x;
-- case: LOCK
BEGIN;
LOCK TABLE orders IN SHARE MODE;
-- case: the target of ON CONFLICT
INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 2;
-- case: a write through a view
UPDATE orders_of SET total = 3;
-- case: an insert through a rule into what it stands for
INSERT INTO ruled (id, body) VALUES (1, 'x');
-- case: a delete that a foreign key carries on
DELETE FROM customers WHERE id = 9;
-- case: NOTIFY
NOTIFY vault;
-- case: LISTEN
LISTEN vault;
-- case: several statements, one of them denied
-- only: simple
SELECT 1; DELETE FROM orders WHERE id = 10; SELECT 2;
-- case: a denied statement behind a comment
/* SELECT */ DELETE /* FROM notes */ FROM orders WHERE id = 11;
-- case: a denied statement in a text with $$
SELECT $$ ; $$; DELETE FROM orders WHERE id = 12;
-- case: a denied statement behind an escape string
SELECT E'\'; '; DELETE FROM orders WHERE id = 13;
-- case: a denied statement that other lexers see as text
SELECT '\'; DELETE FROM orders WHERE id = 14; --';
-- case: a denied statement that begins with a parenthesis
(WITH d AS (DELETE FROM orders WHERE id = 15 RETURNING 1) SELECT * FROM d);
-- case: Unicode names
DELETE FROM U&"\006frders" WHERE id = 16;
-- case: quoted names
DELETE FROM "public"."orders" WHERE id = 17;
-- case: ONLY
DELETE FROM ONLY orders WHERE id = 18;
-- case: database, schema, name
DELETE FROM shop.public.orders WHERE id = 19;
-- case: a temporary table of the same name, dropped before
CREATE TEMP TABLE orders (id int);
DROP TABLE pg_temp.orders;
DELETE FROM orders WHERE id = 21;
-- case: a temporary table undone
BEGIN;
CREATE TEMP TABLE orders (id int);
ROLLBACK;
DELETE FROM orders WHERE id = 22;
-- case: READ WRITE
SET TRANSACTION READ WRITE;
-- case: a sequence
SELECT nextval('counter');
-- case: a sequence set
SELECT setval('counter', 1000);
-- case: a statement of psql's own
-- only: psql
SELECT 'DELETE FROM orders WHERE id = 23' \gexec
-- case: \copy
-- only: psql
\copy orders from program 'echo 24'
-- case: REFRESH
REFRESH MATERIALIZED VIEW contact_m;
-- case: VACUUM
VACUUM orders;
-- case: ANALYZE
ANALYZE orders;
-- case: CLUSTER
CLUSTER orders USING orders_pkey;
-- case: REINDEX
REINDEX TABLE orders;
-- case: COMMENT
COMMENT ON TABLE orders IS 'x';
