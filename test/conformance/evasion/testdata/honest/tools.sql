-- What sessions of tools do: settings, cursors, prepared statements, transactions, writes, views, EXPLAIN, COPY, derived columns.

-- case: a masked column under another name
-- masked: contact=email
SELECT id, email AS contact FROM customers ORDER BY id;
-- case: all masked columns
SELECT id, email, card, phone, second, salary, score, balance, born, seen, token, ip, profile, raw, doc, tags, picture, active, tier, code FROM customers ORDER BY id;
-- case: computed columns are masked whole
-- masked: domain=derived, hello=derived
SELECT id, split_part(email, '@', 2) AS domain, 'hello ' || email AS hello FROM customers ORDER BY id;
-- case: the case of an address
-- masked: lower=derived, upper=derived
SELECT id, lower(email), upper(card) FROM customers ORDER BY id;
-- case: a label for what is missing
-- masked: label=derived
SELECT id, coalesce(email, 'none') AS label FROM customers ORDER BY id;
-- case: an aggregate over a masked column
-- masked: count=derivednull
SELECT region, count(email) FROM customers GROUP BY region ORDER BY region;
-- case: a concatenation of a name and an address
-- masked: who=derived
SELECT id, concat(name, ' <', email, '>') AS who FROM customers ORDER BY id;
-- case: a JSON object with an address
-- masked: json_build_object=derivedjson
SELECT id, json_build_object('id', id, 'email', email) FROM customers ORDER BY id;
-- case: a union of one kind of masked columns
-- masked: contact=email
SELECT id, email AS contact FROM customers UNION ALL SELECT id, email FROM people ORDER BY 1;
-- case: a view
-- masked: address=email
SELECT id, address FROM contact ORDER BY id;
-- case: a view of a view
-- masked: address=email
SELECT * FROM contact2 ORDER BY id;
-- case: a view that computes
-- masked: address=derived, n=derivednull
SELECT id, address, n FROM contact_upper ORDER BY id;
-- case: a barrier
SELECT * FROM contact_barrier ORDER BY id;
-- case: a recursive view
SELECT id, email FROM contact_r ORDER BY id;
-- case: a view without masked columns
SELECT * FROM orders_of ORDER BY id;
-- case: a materialized view
SELECT id, email FROM contact_m ORDER BY id;
-- case: a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT id, email FROM customers ORDER BY id;
FETCH 3 FROM c;
FETCH 3 FROM c;
CLOSE c;
COMMIT;
-- case: a cursor that scrolls
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, total FROM orders ORDER BY id;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
FETCH FIRST FROM c;
MOVE 5 FROM c;
FETCH RELATIVE 2 FROM c;
COMMIT;
-- case: a cursor that outlives
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT id, status FROM orders ORDER BY id;
COMMIT;
FETCH 2 FROM c;
CLOSE c;
-- case: a prepared statement
PREPARE p (int) AS SELECT id, email FROM customers WHERE id = $1;
EXECUTE p (2);
EXECUTE p (3);
DEALLOCATE p;
-- case: a prepared statement without types
PREPARE p AS SELECT count(*) FROM orders WHERE total > $1 AND status = $2;
EXECUTE p (10, 'open');
-- case: EXPLAIN
-- any rows
EXPLAIN SELECT * FROM customers WHERE id = 1;
-- case: EXPLAIN ANALYZE
-- any rows
EXPLAIN (ANALYZE, BUFFERS) SELECT c.id, c.email FROM customers c JOIN orders o ON o.customer_id = c.id;
-- case: EXPLAIN in JSON
-- any rows
EXPLAIN (FORMAT json) SELECT status, count(*) FROM orders GROUP BY status;
-- case: transactions
BEGIN;
SELECT count(*) FROM orders;
SAVEPOINT a;
SELECT 1;
ROLLBACK TO SAVEPOINT a;
RELEASE SAVEPOINT a;
COMMIT;
-- case: read only
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT id, email FROM customers ORDER BY id;
COMMIT;
-- case: START TRANSACTION
START TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT 1;
END;
-- case: settings
SET statement_timeout = '30s';
SET work_mem TO '8MB';
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO, DMY';
SET search_path TO public;
SHOW search_path;
SHOW server_version_num;
SELECT current_setting('TimeZone'), current_database(), current_schema();
RESET ALL;
-- case: the path to another schema
-- clear: email
SET search_path = public, pg_catalog;
SELECT id, email FROM newsletter ORDER BY id;
-- case: the planner's settings
SET enable_seqscan = off;
SET random_page_cost = 1.1;
SELECT count(*) FROM orders;
-- case: a temporary table
CREATE TEMP TABLE scratch AS SELECT customer_id, sum(total) AS t FROM orders GROUP BY customer_id;
CREATE INDEX ON scratch (customer_id);
ANALYZE scratch;
SELECT * FROM scratch ORDER BY customer_id;
DROP TABLE scratch;
-- case: a temporary table of one's own
CREATE TEMP TABLE mine (id serial PRIMARY KEY, k text NOT NULL, v numeric DEFAULT 0);
INSERT INTO mine (k) VALUES ('a'), ('b');
UPDATE mine SET v = v + 1 WHERE k = 'a' RETURNING *;
SELECT * FROM mine ORDER BY id;
TRUNCATE mine;
DROP TABLE mine;
-- case: a temporary table joined to a masked one
CREATE TEMP TABLE wanted (id int);
INSERT INTO wanted VALUES (1), (2), (3);
SELECT w.id, c.name FROM wanted w JOIN customers c ON c.id = w.id ORDER BY w.id;
-- case: SELECT INTO
SELECT id, status INTO TEMP picked FROM orders WHERE total > 50;
SELECT count(*) FROM picked;
-- case: an insert
BEGIN;
INSERT INTO notes (id, body, n) VALUES (200, 'new', 1), (201, 'newer', 2) RETURNING id, body;
ROLLBACK;
-- case: an insert of a report
BEGIN;
INSERT INTO notes (id, body, n) SELECT customer_id + 600, 'sum', count(*) FROM orders GROUP BY customer_id;
ROLLBACK;
-- case: an upsert
BEGIN;
INSERT INTO notes (id, body) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING id, body;
ROLLBACK;
-- case: an upsert of a masked table
BEGIN;
INSERT INTO customers (id, name, region) VALUES (1, 'renamed', 'us') ON CONFLICT (id) DO UPDATE SET name = excluded.name, region = excluded.region RETURNING id, name, email;
ROLLBACK;
-- case: an upsert that does nothing
BEGIN;
INSERT INTO notes (id) VALUES (1) ON CONFLICT DO NOTHING;
ROLLBACK;
-- case: an insert into a masked table
BEGIN;
INSERT INTO customers (id, name) VALUES (300, 'new') RETURNING id, name;
ROLLBACK;
-- case: an update of a masked column
BEGIN;
UPDATE customers SET card = '4000 0000 0000 0002', salary = 5 WHERE id = 2 RETURNING id;
ROLLBACK;
-- case: an update, returning a masked column
BEGIN;
UPDATE customers SET region = 'asia' WHERE id = 2 RETURNING id, email, region;
ROLLBACK;
-- case: an update from another table
BEGIN;
UPDATE notes SET n = x.c FROM (SELECT customer_id, count(*) AS c FROM orders GROUP BY 1) x WHERE x.customer_id = notes.id RETURNING id, n;
ROLLBACK;
-- case: a delete
BEGIN;
DELETE FROM notes WHERE id = 5 RETURNING *;
ROLLBACK;
-- case: a delete with USING
BEGIN;
DELETE FROM notes USING customers c WHERE c.id = notes.id AND c.region = 'eu' RETURNING notes.id;
ROLLBACK;
-- case: MERGE
BEGIN;
MERGE INTO notes n USING (VALUES (1, 'merged'), (700, 'fresh')) v (id, body) ON n.id = v.id WHEN MATCHED THEN UPDATE SET body = v.body WHEN NOT MATCHED THEN INSERT (id, body) VALUES (v.id, v.body);
ROLLBACK;
-- case: a writable CTE
BEGIN;
WITH d AS (DELETE FROM notes WHERE id = 5 RETURNING id, body) INSERT INTO notes (id, body) SELECT id + 800, body FROM d RETURNING id;
ROLLBACK;
-- case: rows locked
BEGIN;
SELECT id, email FROM customers WHERE id = 1 FOR UPDATE;
ROLLBACK;
-- case: rows skipped
BEGIN;
SELECT id FROM orders WHERE status = 'open' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 2;
ROLLBACK;
-- case: COPY out
COPY orders TO STDOUT;
-- case: COPY of a query
COPY (SELECT id, total FROM orders WHERE total > 50 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER);
-- case: COPY of a masked table
-- copied: id email card
COPY customers (id, email, card) TO STDOUT;
-- case: COPY of a masked query
-- copied: id email region
COPY (SELECT id, email, region FROM customers ORDER BY id) TO STDOUT;
-- case: several statements in one text
SELECT 1; SELECT count(*) FROM orders; SELECT id, email FROM customers WHERE id = 1;
-- case: an empty text
;
-- case: comments only
/* nothing */ ;
-- case: what time it is
-- any rows
SELECT now(), current_timestamp, clock_timestamp(), current_date, localtime;
-- case: who I am
SELECT current_user, session_user, current_role, current_catalog;
-- case: the server
SELECT version(), current_setting('server_version');
-- case: ping
SELECT 1;
-- case: ping of pools
SELECT 'x'::text, NULL, true, 1.5, E'\x41';
-- case: DISCARD
DISCARD ALL;
-- case: comments of tools
/* app:web,controller:orders */ SELECT id, email FROM customers WHERE id = 2 /* trace=1 */;
-- case: errors of one's own
-- any rows
SELECT 1 / 0;
-- case: an error in a transaction
-- any rows
BEGIN;
SELECT no_such FROM orders;
SELECT 1;
ROLLBACK;
-- case: advisory names of columns that are keywords
SELECT id AS "order", total AS "select", status AS "from" FROM orders ORDER BY "order" LIMIT 2;
-- case: sequences
SELECT last_value, is_called FROM counter;
-- case: nextval
-- any rows
SELECT lastval();
-- case: row values
SELECT id FROM notes WHERE (id, n) IN ((1, 1), (2, 2)) ORDER BY id;
-- case: keyset pages
SELECT id, placed FROM orders WHERE (placed, id) > (timestamptz '2026-01-05', 0) ORDER BY placed, id LIMIT 3;
-- case: a window of a joined masked table
SELECT o.id, c.email, sum(o.total) OVER (PARTITION BY o.customer_id ORDER BY o.id) FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id LIMIT 12;
-- case: composite rows of unmasked columns
SELECT (o).id, (o).total FROM (SELECT o FROM orders o) x ORDER BY 1 LIMIT 3;
-- case: IS DISTINCT FROM
SELECT id FROM notes WHERE body IS DISTINCT FROM 'note 1' ORDER BY id;
-- case: BETWEEN SYMMETRIC
SELECT id FROM notes WHERE n BETWEEN SYMMETRIC 4 AND 2 ORDER BY id;
-- case: OVERLAPS
SELECT (date '2026-01-01', date '2026-02-01') OVERLAPS (date '2026-01-15', date '2026-03-01');
-- case: full text search in unmasked columns
SELECT id, ts_rank(to_tsvector('english', body), q) FROM notes, to_tsquery('english', 'note') q WHERE to_tsvector('english', body) @@ q ORDER BY id;
-- case: trigram search in unmasked columns
SELECT id, similarity(body, 'note') FROM notes WHERE body % 'note 1' ORDER BY id;
-- case: functions of extensions
SELECT akeys(hstore('a', 'b')), digest('x', 'sha1'), replace('a'::citext, 'A', 'b') FROM notes ORDER BY id;
