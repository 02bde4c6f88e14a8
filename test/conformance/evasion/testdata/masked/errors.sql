-- Errors, notices and their details.

-- case: a check that fails shows the row
BEGIN;
INSERT INTO customers (id, name, salary) VALUES (100, 'x', -1);
-- case: a check that fails on an update shows the row
BEGIN;
UPDATE customers SET salary = -1 WHERE id = 1;
-- case: not null shows the row
BEGIN;
UPDATE customers SET name = NULL WHERE id = 1;
-- case: a unique violation shows the key
BEGIN;
UPDATE customers SET id = 1 WHERE id = 2;
-- case: a foreign key
BEGIN;
UPDATE orders SET customer_id = 12345 WHERE id = 1;
-- case: a foreign key from the other side
BEGIN;
DELETE FROM customers WHERE id = 1;
-- case: a trigger's notice
BEGIN;
UPDATE customers SET region = 'x' WHERE id = 1;
-- case: a trigger's warning
BEGIN;
INSERT INTO notes (id, body) VALUES (100, 'ask');
-- case: a trigger's error with detail and hint
BEGIN;
INSERT INTO notes (id, body) VALUES (100, 'fail');
-- case: a view's check option
BEGIN;
INSERT INTO contact_open (id, name, active) VALUES (100, 'x', NULL);
-- case: a domain's check
BEGIN;
UPDATE customers SET second = 'x' WHERE id = 1;
-- case: a generated column's error
BEGIN;
UPDATE customers SET email_lower = 'x' WHERE id = 1;
-- case: a partition that does not fit shows the row
BEGIN;
UPDATE people SET region = 'nowhere';
-- case: invalid input of a masked value
SELECT email::numeric FROM customers;
-- case: division by a masked value
SELECT 1 / (salary - salary) FROM customers;
-- case: substring with a negative length
SELECT substr('abc', 1, salary - 80000000) FROM customers;
-- case: a regular expression out of a masked value
SELECT 'x' ~ ('(' || email) FROM customers;
-- case: a time zone out of a masked value
SELECT now() AT TIME ZONE email FROM customers;
-- case: a text search configuration out of a masked value
SELECT to_tsvector(email::regconfig, 'x') FROM customers;
-- case: JSON that is not JSON
SELECT (email || '')::jsonb FROM customers;
-- case: an array that is none
SELECT email::int[] FROM customers;
-- case: to_timestamp
SELECT to_timestamp(email, 'YYYY') FROM customers;
-- case: a subscript out of a masked value
SELECT profile[email] FROM customers;
-- case: encode with a masked format
SELECT encode('x', email) FROM customers;
-- case: decode of a masked text
SELECT decode(email, 'hex') FROM customers;
-- case: has_table_privilege of a masked name
SELECT has_table_privilege(email, 'SELECT') FROM customers;
-- case: nextval of a masked name
SELECT nextval(email) FROM customers;
-- case: an enumeration out of range
SELECT enum_range(tier, 'bronze'::grade) FROM customers;
-- case: VARIADIC that is NULL
SELECT concat(VARIADIC tags) FROM customers;
-- case: factorial takes time
SELECT factorial(salary % 20) FROM customers;
-- case: a deferred constraint
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE customers SET id = id + 1000 WHERE id = 9;
COMMIT;
-- case: GET DIAGNOSTICS by psql
-- only: psql
SELECT email::int FROM customers;
\errverbose
-- case: \gdesc
-- only: psql
SELECT email, salary FROM customers \gdesc
-- case: \gset and \echo
-- only: psql
SELECT email AS e FROM customers WHERE id = 1 \gset
\echo :e
-- case: \gexec runs what comes
-- only: psql
SELECT format('SELECT %L', email) FROM customers WHERE id = 1 \gexec
-- case: \crosstabview
-- only: psql
SELECT id, region, email FROM customers \crosstabview
-- case: \watch
-- only: psql
SELECT 1 / (SELECT count(*) FROM customers WHERE email = 'x') \watch 0.01
