-- The session: search path, roles, settings, schemas with the same names.

-- case: another schema first
SET search_path = shadow, public;
SELECT id, email FROM customers;
-- case: another schema last
SET search_path = public, shadow;
SELECT id, email FROM customers;
-- case: the path in a transaction that is undone
BEGIN;
SET LOCAL search_path = shadow;
ROLLBACK;
SELECT email FROM customers WHERE id = 1;
-- case: the path by set_config
SELECT set_config('search_path', 'public', false);
SELECT email FROM customers WHERE id = 1;
-- case: the path from a masked value
SELECT set_config('search_path', email, false) FROM customers;
-- case: a setting of one's own holds the value
SELECT set_config('my.x', (SELECT email FROM customers WHERE id = 1), false);
SELECT current_setting('my.x');
-- case: a setting of one's own, whose name is the value
SELECT set_config('my.' || salary, 'x', false) FROM customers;
-- case: a setting from a condition
SELECT set_config('my.x', CASE WHEN email > 'zqI' THEN '1' ELSE '0' END, false) FROM customers WHERE id = 1;
SELECT current_setting('my.x', true);
-- case: a setting named by a masked value
SELECT current_setting(email) FROM customers;
-- case: a setting named by a masked value, missing or not
SELECT current_setting(CASE WHEN salary > 1000000 THEN 'server_version' ELSE 'no.such' END) FROM customers;
-- case: application_name
SELECT set_config('application_name', email, false) FROM customers;
-- case: a role
SET ROLE pg_read_all_data;
SELECT email FROM customers WHERE id = 1;
-- case: a session authorization
SET SESSION AUTHORIZATION postgres;
SELECT email FROM customers WHERE id = 1;
-- case: RESET ROLE
RESET ROLE;
SELECT email FROM customers WHERE id = 1;
-- case: bytea_output
SET bytea_output = 'escape';
SELECT picture, email FROM customers;
-- case: DateStyle
SET DateStyle = 'German';
SELECT born, seen FROM customers;
-- case: standard_conforming_strings
SET standard_conforming_strings = off;
SELECT '\', email, ' FROM customers --' FROM customers;
-- case: client_encoding
SET client_encoding = 'SJIS';
SELECT email FROM customers WHERE id = 1;
-- case: SET NAMES
SET NAMES 'BIG5';
SELECT email FROM customers WHERE id = 1;
-- case: lc_messages and errors
SET lc_messages = 'C';
SELECT email::int FROM customers;
-- case: client_min_messages
SET client_min_messages = debug5;
SELECT email FROM customers WHERE id = 1;
-- case: log to the client
-- differs: times and sizes of processes
SET log_statement_stats = on;
SET client_min_messages = log;
SELECT id FROM customers WHERE id = 1;
-- case: debug_print_plan
SET client_min_messages = log;
SET debug_print_plan = on;
SELECT id FROM customers WHERE id = 1;
-- case: row_security
SET row_security = off;
SELECT email FROM customers WHERE id = 1;
-- case: session_replication_role
SET session_replication_role = replica;
SELECT email FROM customers WHERE id = 1;
-- case: transform_null_equals
SET transform_null_equals = on;
SELECT id FROM customers WHERE email = NULL;
-- case: a temporary table hides the masked one
-- differs: the OID of a table that the session has made
CREATE TEMP TABLE customers (id int, email text);
INSERT INTO customers VALUES (1, 'mine');
SELECT email FROM customers;
SELECT email FROM public.customers WHERE id = 1;
-- case: a temporary table hides the masked one, then it is gone
CREATE TEMP TABLE customers (id int, email text);
DROP TABLE customers;
SELECT email FROM customers WHERE id = 1;
-- case: a temporary table that is undone
BEGIN;
CREATE TEMP TABLE customers (id int, name text, region text, email text);
ROLLBACK;
SELECT email FROM customers WHERE id = 1;
-- case: a temporary table dropped at commit
BEGIN;
CREATE TEMP TABLE customers ON COMMIT DROP AS SELECT 1 AS id, 'x'::text AS email;
COMMIT;
SELECT email FROM customers WHERE id = 1;
-- case: a temporary table whose name hides, oracle
CREATE TEMP TABLE customers (id int, email text);
DROP TABLE customers;
SELECT id FROM customers WHERE email > 'zqI';
-- case: a new schema that hides
CREATE SCHEMA mine;
SET search_path = mine, public;
SELECT email FROM customers WHERE id = 1;
DROP SCHEMA mine;
-- case: pg_catalog last
SET search_path = public, pg_catalog;
SELECT email FROM customers WHERE id = 1;
-- case: a temporary function's schema
SET search_path = pg_temp, public;
SELECT email FROM customers WHERE id = 1;
-- case: several statements in one text
SELECT 1; SELECT upper(email) FROM customers;
-- case: a text that fails midway
SELECT email FROM customers; SELECT 1 / 0;
-- case: DISCARD PLANS
DISCARD PLANS;
SELECT email FROM customers WHERE id = 1;
