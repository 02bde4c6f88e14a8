-- Prepared statements in SQL.

-- case: plain
PREPARE p AS SELECT email FROM customers;
EXECUTE p;
-- case: computed
PREPARE p AS SELECT upper(email) FROM customers;
EXECUTE p;
-- case: by a parameter
PREPARE p (text) AS SELECT id FROM customers WHERE email LIKE $1;
EXECUTE p ('zqK%');
-- case: redefined
PREPARE p AS SELECT name FROM customers;
DEALLOCATE p;
PREPARE p AS SELECT email FROM customers;
EXECUTE p;
-- case: redefined after DISCARD
PREPARE p AS SELECT name FROM customers;
DISCARD ALL;
PREPARE p AS SELECT card FROM customers;
EXECUTE p;
-- case: not undone by a rollback
BEGIN;
PREPARE p AS SELECT email FROM customers;
ROLLBACK;
EXECUTE p;
-- case: a parameter that is a subquery
PREPARE p (text) AS SELECT $1;
EXECUTE p ((SELECT email FROM customers WHERE id = 1));
-- case: an EXECUTE that makes a table
PREPARE p AS SELECT email FROM customers;
CREATE TEMP TABLE stolen AS EXECUTE p;
-- case: EXPLAIN EXECUTE
PREPARE p AS SELECT id FROM customers WHERE email = 'zqK';
EXPLAIN EXECUTE p;
-- case: EXPLAIN ANALYZE EXECUTE
PREPARE p AS SELECT email FROM customers;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE p;
-- case: a star, prepared before a temporary table hides the relation
PREPARE p AS SELECT * FROM notes;
CREATE TEMP TABLE notes (id int, body text);
EXECUTE p;
-- case: the search path moves between PREPARE and EXECUTE
SET search_path = shadow;
PREPARE p AS SELECT email FROM customers;
SET search_path = public;
EXECUTE p;
-- case: the search path moves the other way
PREPARE p AS SELECT id, email FROM customers WHERE id = 1;
SET search_path = shadow, public;
EXECUTE p;
-- case: pg_prepared_statements
PREPARE p AS SELECT email FROM customers;
SELECT name, result_types FROM pg_prepared_statements;
-- case: DO with EXECUTE of a prepared statement
PREPARE p AS SELECT email FROM customers;
DO $$ BEGIN EXECUTE 'EXECUTE p'; END $$;
-- case: a write
PREPARE p AS INSERT INTO notes (id, body) SELECT id + 100, email FROM customers;
BEGIN;
EXECUTE p;
-- case: plan_cache_mode
SET plan_cache_mode = force_generic_plan;
PREPARE p (text) AS SELECT email FROM customers WHERE name = $1;
EXECUTE p ('name1');
