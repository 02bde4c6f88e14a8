-- The database that is attacked. {tag} makes the masked values of two servers
-- differ in content and length; everything else is the same in both.


CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto; CREATE EXTENSION pg_trgm; CREATE EXTENSION citext; CREATE EXTENSION unaccent;

CREATE TYPE grade AS ENUM ('bronze', 'silver', 'gold', 'iron');
CREATE DOMAIN address AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE customers (
  id int PRIMARY KEY, name text NOT NULL, region text NOT NULL DEFAULT 'eu',
  email text UNIQUE, card text, phone varchar(40), second address, salary int, score numeric, balance float8, born date, seen timestamptz,
  token uuid, ip inet, profile jsonb, raw json, doc xml, tags text[], picture bytea, active bool, tier grade, code citext,
  email_lower text GENERATED ALWAYS AS (lower(email)) STORED,
  CONSTRAINT salary_positive CHECK (salary > 0));
CREATE INDEX customers_lower ON customers (lower(email));
CREATE INDEX customers_name ON customers (name);
CREATE STATISTICS customers_mcv (mcv, dependencies, ndistinct) ON email, salary FROM customers;
INSERT INTO customers (id, name, region, email, card, phone, second, salary, score, balance, born, seen, token, ip, profile, raw, doc, tags, picture, active, tier, code)
SELECT i, 'name' || i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, 'zq{tag}' || i || 'vault@x{tag}.test', '99{tag6}0000' || (1000 + i), '+77{tag6}' || i, 'zq{tag}s@' || i,
  {number} + i, {number}.25 + i, {number}.5 + i, date '{date}' + i, timestamptz '{date} 10:00+00' + i * interval '1 h',
  ('{tag8}-0000-4000-8000-00000000000' || i)::uuid, ('10.{octet}.7.' || i)::inet,
  jsonb_build_object('k', 'zq{tag}json' || i, 'n', {number} + i), ('{"k": "zq{tag}raw' || i || '"}')::json, ('<a>zq{tag}xml' || i || '</a>')::xml,
  ARRAY['zq{tag}tag' || i, 'zq{tag}second'], convert_to('zq{tag}bytes' || i, 'UTF8'), ({number} + i) % 3 = 0, (ARRAY['{grade}', 'bronze'])[1 + i % 2]::grade, 'zq{tag}code' || i
FROM generate_series(1, 8) i;
INSERT INTO customers (id, name) VALUES (9, 'name9');

CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric, status text, placed timestamptz, detail jsonb);
INSERT INTO orders SELECT i, 1 + i % 9, i * 1.5, (ARRAY['open', 'paid', 'sent'])[1 + i % 3], timestamptz '2026-01-01 00:00+00' + i * interval '7 h',
  jsonb_build_object('sku', 's' || i % 5, 'qty', i % 4) FROM generate_series(1, 60) i;
CREATE TABLE newsletter (id int PRIMARY KEY, email text, topic text);
INSERT INTO newsletter SELECT i, 'reader' || i || '@example.com', 'topic' || i % 2 FROM generate_series(1, 5) i;
CREATE TABLE notes (id int PRIMARY KEY, body text, n int);
INSERT INTO notes SELECT i, 'note ' || i, i FROM generate_series(1, 5) i;
CREATE SEQUENCE counter;

CREATE TABLE people (id int, email text, region text) PARTITION BY LIST (region);
CREATE TABLE people_eu PARTITION OF people FOR VALUES IN ('eu');
CREATE TABLE people_us PARTITION OF people FOR VALUES IN ('us');
INSERT INTO people SELECT i, 'zq{tag}people' || i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 4) i;
CREATE TABLE staff (id int PRIMARY KEY, wage int);
CREATE TABLE managers (bonus int) INHERITS (staff);
INSERT INTO staff VALUES (1, {number}); INSERT INTO managers VALUES (2, {number} + 7, 5);
CREATE TABLE "Odd ""name" ("E-mail" text, "sélect" int); INSERT INTO "Odd ""name" VALUES ('zq{tag}odd', 1);
CREATE TABLE big (id int PRIMARY KEY, secret text);
INSERT INTO big SELECT i, (SELECT string_agg(md5('{tag}' || i || j), '') FROM generate_series(1, 200) j) || 'zq{tag}big' FROM generate_series(1, 2) i;
CREATE TABLE documents (id int PRIMARY KEY, body tsvector, plain text);
INSERT INTO documents VALUES (1, to_tsvector('simple', 'zq{tag}lexeme other'), 'zq{tag}plain and other words');
CREATE TYPE pair AS (a text, b int);
CREATE TABLE composites (id int PRIMARY KEY, p pair); INSERT INTO composites VALUES (1, ROW('zq{tag}pair', {number})::pair);

CREATE VIEW contact AS SELECT id, email AS address FROM customers;
CREATE VIEW contact2 AS SELECT * FROM contact;
CREATE VIEW contact_upper AS SELECT id, upper(email) AS address, length(card) AS n FROM customers;
CREATE VIEW contact_filtered AS SELECT id, name FROM customers WHERE email LIKE 'zq{tag}1%';
CREATE VIEW contact_union AS SELECT id, email FROM customers UNION ALL SELECT id, email FROM newsletter;
CREATE VIEW contact_barrier WITH (security_barrier) AS SELECT id, name, email FROM customers WHERE id < 5;
CREATE VIEW contact_rows AS SELECT c AS whole FROM customers c;
CREATE VIEW contact_open AS SELECT * FROM customers WHERE active IS NOT NULL;
CREATE MATERIALIZED VIEW contact_m AS SELECT id, email, upper(card) AS card_up FROM customers;
CREATE MATERIALIZED VIEW contact_counts AS SELECT left(email, 3) AS start, count(*) AS n FROM customers GROUP BY 1;
CREATE RECURSIVE VIEW contact_r (id, email) AS SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM customers c JOIN contact_r r ON c.id = r.id + 1;
CREATE VIEW orders_of AS SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id;

COMMENT ON COLUMN customers.email IS 'where to write to';
ANALYZE;
