-- RETURNING, upserts and MERGE.

-- case: plain columns
BEGIN;
UPDATE customers SET region = 'x' WHERE id = 1 RETURNING email, card;
-- case: all columns
BEGIN;
UPDATE customers SET region = 'x' WHERE id = 1 RETURNING *;
-- case: the row
BEGIN;
UPDATE customers SET region = 'x' WHERE id = 1 RETURNING customers;
-- case: computed
BEGIN;
UPDATE customers SET region = 'x' RETURNING upper(email);
-- case: copied into an unmasked column
BEGIN;
UPDATE customers SET name = email RETURNING name;
-- case: copied by a list
BEGIN;
UPDATE customers SET (name, region) = (email, card) RETURNING name, region;
-- case: copied by a subquery
BEGIN;
UPDATE customers SET (name, region) = (SELECT email, card FROM customers c WHERE c.id = customers.id) RETURNING name;
-- case: copied with the whole row
BEGIN;
UPDATE customers c SET name = c::text RETURNING name;
-- case: DELETE
BEGIN;
DELETE FROM orders USING customers c WHERE c.id = orders.customer_id RETURNING c.email;
-- case: DELETE of masked rows
BEGIN;
DELETE FROM people RETURNING *;
-- case: DELETE RETURNING a computed column
BEGIN;
DELETE FROM people RETURNING lower(email);
-- case: INSERT
BEGIN;
INSERT INTO customers (id, name) VALUES (100, 'x') RETURNING *;
-- case: INSERT RETURNING a subquery
BEGIN;
INSERT INTO notes (id, body) VALUES (100, 'x') RETURNING (SELECT email FROM customers WHERE id = 1);
-- case: INSERT SELECT
BEGIN;
INSERT INTO notes (id, body) SELECT id + 100, email FROM customers RETURNING body;
-- case: INSERT VALUES of a subquery
BEGIN;
INSERT INTO notes (id, body) VALUES (100, (SELECT email FROM customers WHERE id = 1)) RETURNING body;
-- case: INSERT DEFAULT VALUES by a rule
BEGIN;
INSERT INTO ruled (id, body) VALUES (100, 'x') RETURNING *;
-- case: ON CONFLICT tells whether it is there
BEGIN;
INSERT INTO customers (id, name, email) VALUES (100, 'x', 'zqKwyjibo1vault@xKwyjibo.test') ON CONFLICT (email) DO NOTHING RETURNING id;
-- case: ON CONFLICT with any constraint
BEGIN;
INSERT INTO customers (id, name, email) VALUES (100, 'x', 'zqKwyjibo1vault@xKwyjibo.test') ON CONFLICT DO NOTHING RETURNING id;
-- case: ON CONFLICT DO UPDATE copies
BEGIN;
INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = customers.email RETURNING name;
-- case: ON CONFLICT DO UPDATE copies excluded
BEGIN;
INSERT INTO customers (id, name, email) VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.email RETURNING name, email;
-- case: ON CONFLICT DO UPDATE WHERE
BEGIN;
INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' WHERE customers.email LIKE 'zqK%' RETURNING id;
-- case: ON CONFLICT of a guess, by its error
BEGIN;
INSERT INTO customers (id, name, email) VALUES (100, 'x', 'zqKwyjibo1vault@xKwyjibo.test');
-- case: UPDATE to a guess, by the error of the unique key
BEGIN;
UPDATE customers SET email = 'zqKwyjibo1vault@xKwyjibo.test' WHERE id = 2;
-- case: MERGE
BEGIN;
MERGE INTO notes n USING customers c ON n.id = c.id WHEN MATCHED THEN UPDATE SET body = c.email;
-- case: MERGE by a masked condition
BEGIN;
MERGE INTO notes n USING customers c ON n.id = c.id WHEN MATCHED AND c.email LIKE 'zqK%' THEN DELETE;
-- case: MERGE ON a masked column
BEGIN;
MERGE INTO newsletter n USING customers c ON n.email = c.email WHEN NOT MATCHED THEN INSERT (id, email) VALUES (c.id + 100, 'x');
-- case: MERGE into a masked relation
BEGIN;
MERGE INTO customers c USING notes n ON c.id = n.id WHEN MATCHED AND c.email > 'zqI' THEN UPDATE SET region = 'm';
-- case: UPDATE FROM
BEGIN;
UPDATE notes SET body = c.email FROM customers c WHERE c.id = notes.id RETURNING body;
-- case: UPDATE through a view
BEGIN;
UPDATE contact SET id = id RETURNING address, upper(address);
-- case: INSERT through a view, into a masked column
BEGIN;
INSERT INTO contact_open (id, name, email) VALUES (100, 'x', 'y') RETURNING email, name;
-- case: a default that reads
BEGIN;
INSERT INTO notes (id, body) VALUES (100, DEFAULT) RETURNING *;
-- case: what the caller writes himself comes back masked
BEGIN;
UPDATE customers SET email = 'me' || id WHERE id = 3 RETURNING email;
