-- WITH: plain, recursive, writable.

-- case: plain
WITH x AS (SELECT email FROM customers) SELECT email FROM x;
-- case: with names of its own
WITH x (id, name) AS (SELECT email, card FROM customers) SELECT * FROM x;
-- case: MATERIALIZED
WITH x AS MATERIALIZED (SELECT id, email || '' AS e FROM customers) SELECT id, e FROM x;
-- case: one that hides a relation
WITH customers AS (SELECT id, name AS email, email AS name FROM public.customers) SELECT email, name FROM customers;
-- case: one that hides a relation, used before it is defined
WITH a AS (SELECT email FROM customers), customers AS (SELECT 1 AS id, 'x' AS email) SELECT a.email, customers.email FROM a, customers;
-- case: an inner one that hides an outer one
WITH x AS (SELECT 'x'::text AS email) SELECT * FROM (WITH x AS (SELECT email FROM customers) SELECT email FROM x) y;
-- case: recursive, an arm that reads
WITH RECURSIVE x (n, e) AS (SELECT 1, ''::text UNION ALL SELECT n + 1, (SELECT email FROM customers c WHERE c.id = n) FROM x WHERE n < 5) SELECT e FROM x;
-- case: recursive, swapped columns
WITH RECURSIVE x (a, b, n) AS (SELECT email, name, 1 FROM customers UNION ALL SELECT b, a, n + 1 FROM x WHERE n < 2) SELECT a FROM x;
-- case: recursive, rotating columns over many steps
WITH RECURSIVE x (a, b, c, n) AS (SELECT name, name, email, 1 FROM customers UNION ALL SELECT b, c, a, n + 1 FROM x WHERE n < 4) SELECT a FROM x;
-- case: recursive, until a masked value says stop
WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < (SELECT length(email) FROM customers WHERE id = 1)) SELECT max(n) FROM x;
-- case: recursive, that spells it
WITH RECURSIVE x (n, ch) AS (SELECT 1, substr(email, 1, 1) FROM customers WHERE id = 1 UNION ALL SELECT n + 1, substr((SELECT email FROM customers WHERE id = 1), n + 1, 1) FROM x WHERE n < 20) SELECT string_agg(ch, '') FROM x;
-- case: recursive with UNION removes what is equal
WITH RECURSIVE x AS (SELECT id, active FROM customers UNION SELECT id, active FROM x) SELECT count(*) FROM x;
-- case: SEARCH
WITH RECURSIVE x AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM customers c JOIN x ON c.id = x.id + 1) SEARCH DEPTH FIRST BY email SET o SELECT id FROM x ORDER BY o;
-- case: CYCLE
WITH RECURSIVE x AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM customers c JOIN x ON c.id = x.id + 1) CYCLE email SET is_cycle USING p SELECT id, is_cycle, p FROM x;
-- case: writable, returning
BEGIN;
WITH u AS (UPDATE customers SET region = region WHERE id = 1 RETURNING email) SELECT email FROM u;
-- case: writable, that stores
BEGIN;
WITH x AS (SELECT id, email FROM customers) INSERT INTO notes (id, body) SELECT id + 100, email FROM x;
-- case: writable, that stores inside
BEGIN;
WITH i AS (INSERT INTO notes (id, body) SELECT id + 100, email FROM customers RETURNING body) SELECT * FROM i;
-- case: writable, decided by a masked value
BEGIN;
WITH d AS (DELETE FROM notes USING customers c WHERE c.id = notes.id AND c.email > 'zqI' RETURNING notes.id) SELECT * FROM d;
-- case: a CTE of DML that is read twice
BEGIN;
WITH u AS (UPDATE customers SET name = name RETURNING *) SELECT a.email, b.card FROM u a JOIN u b USING (id);
-- case: unused CTE that fails
WITH x AS (SELECT 1 / (salary - salary) FROM customers) SELECT 1;
