-- psql's own commands.

-- case: lists
\d
-- case: a table
\d customers
-- case: a table, with all there is
\d+ customers
-- case: a view
\d+ contact_upper
-- case: a partitioned table
\d+ people
-- case: a sequence
\d counter
-- case: an index
\d customers_lower
-- case: tables
\dt
-- case: tables by pattern
\dt public.c*
-- case: views
\dv+ contact*
-- case: materialized views
\dm
-- case: indexes
\di
-- case: sequences
\ds
-- case: schemas
\dn+
-- case: functions
\df leak*
-- case: types
\dT
-- case: domains
\dD
-- case: roles
\du
-- case: privileges
\dp orders
-- case: extensions
\dx
-- case: operators
\do ===
-- case: casts
\dC
-- case: aggregates
\da leak*
-- case: settings
\drds
-- case: tablespaces
\db
-- case: foreign servers
\des
-- case: text search
\dF
-- case: event triggers
\dy
-- case: publications
\dRp
-- case: statistics
\dX
-- case: comments
\dd
-- case: default privileges
\ddp
-- case: inherited partitions
\dP
-- case: a view's source
\sv contact
-- case: a function's source
\sf leak(int)
-- case: the description of columns
SELECT id, email, salary FROM customers \gdesc
-- case: expanded
\x on
SELECT id, name, region FROM customers WHERE id = 1;
-- case: a variable
SELECT count(*) AS n FROM orders \gset
\echo :n
-- case: a pivot
SELECT customer_id, status, count(*) FROM orders GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
-- case: queries that make queries
SELECT 'SELECT ' || id FROM notes ORDER BY id \gexec
-- case: rows fetched in portions
\set FETCH_COUNT 10
SELECT id, total FROM orders ORDER BY id;
-- case: \copy
\copy (SELECT id, total FROM orders ORDER BY id) TO STDOUT WITH CSV HEADER
-- case: errors do not stop
SELECT 1;
SELECT 1 / 0;
SELECT 2;
-- case: a transaction
BEGIN;
INSERT INTO notes (id, body) VALUES (900, 'x');
SELECT count(*) FROM notes;
ROLLBACK;
