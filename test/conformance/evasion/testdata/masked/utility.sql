-- Tables made from others, definitions, renaming, inheritance.
-- every case: refused

-- case: CREATE TABLE AS
CREATE TABLE stolen AS SELECT email FROM customers;
-- case: CREATE TEMP TABLE AS
CREATE TEMP TABLE stolen AS TABLE customers;
-- case: CREATE TABLE AS with no masked column but a computed one
CREATE TEMP TABLE stolen AS SELECT id, length(email) AS n FROM customers;
-- case: CREATE TABLE AS by a predicate
CREATE TEMP TABLE stolen AS SELECT id FROM customers WHERE email > 'zqI';
-- case: SELECT INTO
SELECT email INTO TEMP stolen FROM customers;
-- case: CREATE TABLE AS WITH NO DATA
CREATE TEMP TABLE stolen AS SELECT email FROM customers WITH NO DATA;
-- case: CREATE TABLE AS a view
CREATE TEMP TABLE stolen AS SELECT * FROM contact2;
-- case: CREATE TABLE AS EXPLAIN's child
EXPLAIN ANALYZE CREATE TEMP TABLE stolen AS SELECT email FROM customers;
-- case: a child that its parent's rows do not go to
CREATE TABLE stolen () INHERITS (customers);
-- case: inheritance added later
ALTER TABLE newsletter INHERIT customers;
-- case: a masked table made a child of another
ALTER TABLE people_eu NO INHERIT people;
-- case: a partition detached
ALTER TABLE people DETACH PARTITION people_eu;
-- case: a partition attached
ALTER TABLE people ATTACH PARTITION notes FOR VALUES IN ('x');
-- case: a partition made
CREATE TABLE people_x PARTITION OF people FOR VALUES IN ('x');
-- case: a column renamed
ALTER TABLE customers RENAME COLUMN email TO mail;
-- case: a table renamed
ALTER TABLE customers RENAME TO clients;
-- case: a table moved
ALTER TABLE customers SET SCHEMA shadow;
-- case: a schema renamed
ALTER SCHEMA public RENAME TO hidden;
-- case: a column's type changed
ALTER TABLE customers ALTER COLUMN name TYPE text USING email;
-- case: a column added that is computed
ALTER TABLE customers ADD COLUMN mail text GENERATED ALWAYS AS (email) STORED;
-- case: a check that fails on what is there
ALTER TABLE customers ADD CHECK (email NOT LIKE 'zqK%');
-- case: a check validated later
ALTER TABLE customers ADD CONSTRAINT c CHECK (salary < 5) NOT VALID;
-- case: a foreign key that fails on what is there
ALTER TABLE customers ADD FOREIGN KEY (email) REFERENCES customers (email);
-- case: an exclusion
ALTER TABLE customers ADD EXCLUDE USING btree (left(email, 3) WITH =);
-- case: a unique index over a part of it
CREATE UNIQUE INDEX ON customers (left(email, 3));
-- case: a partial index
CREATE INDEX ON customers (id) WHERE email > 'zqI';
-- case: an expression index
CREATE INDEX ON customers ((1 / (salary - 73519265)));
-- case: statistics
CREATE STATISTICS mine (mcv) ON card, phone FROM customers;
-- case: a table like it with its statistics and indexes, then a foreign key
CREATE TABLE stolen (e text REFERENCES customers (email));
-- case: a new default for an unmasked column
ALTER TABLE customers ALTER COLUMN name SET DEFAULT 'x';
-- case: a column dropped, its number reused
ALTER TABLE customers DROP COLUMN email;
-- case: a view renamed to a table's name
ALTER VIEW contact RENAME TO contacts2;
-- case: a view's column renamed
ALTER VIEW contact RENAME COLUMN address TO a;
-- case: security label
SECURITY LABEL ON COLUMN customers.email IS 'x';
-- case: a publication
CREATE PUBLICATION mine FOR TABLE customers;
-- case: a subscription
CREATE SUBSCRIPTION mine CONNECTION 'dbname=shop' PUBLICATION mine WITH (connect = false);
-- case: a server of its own
CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'shop');
-- case: a foreign table
CREATE FOREIGN TABLE far (email text) SERVER loop;
-- case: import
IMPORT FOREIGN SCHEMA public FROM SERVER loop INTO shadow;
-- case: an extension
CREATE EXTENSION tcn;
-- case: a language
CREATE LANGUAGE plpythonu;
-- case: LOAD
LOAD 'auto_explain';
-- case: ALTER SYSTEM
ALTER SYSTEM SET log_statement = 'none';
-- case: a database made from this one
CREATE DATABASE stolen TEMPLATE shop;
-- case: a transform
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION leak(int));
-- case: CLUSTER by a masked index
CLUSTER customers USING customers_lower;
-- case: a table that is a copy by INSERT
INSERT INTO newsletter SELECT id + 100, email, card FROM customers;
-- case: NOTIFY cannot take an expression
NOTIFY x, (SELECT email FROM customers);
