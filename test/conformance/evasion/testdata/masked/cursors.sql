-- Cursors and portals.

-- case: a plain column
BEGIN;
DECLARE c CURSOR FOR SELECT id, email FROM customers;
FETCH ALL FROM c;
-- case: in steps and backwards
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT email FROM customers;
FETCH 2 FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 5 FROM c;
FETCH BACKWARD ALL FROM c;
-- case: WITH HOLD, fetched after its transaction
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT email FROM customers;
COMMIT;
FETCH ALL FROM c;
-- case: computed
BEGIN;
DECLARE c CURSOR FOR SELECT upper(email) FROM customers;
FETCH ALL FROM c;
-- case: a name that is declared again after a rollback
BEGIN;
DECLARE c CURSOR FOR SELECT name FROM customers;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customers;
FETCH ALL FROM c;
-- case: a name that is declared again after a savepoint
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT name FROM customers;
ROLLBACK TO s;
DECLARE c CURSOR FOR SELECT card FROM customers;
FETCH ALL FROM c;
-- case: two of them
BEGIN;
DECLARE a CURSOR FOR SELECT name FROM customers;
DECLARE b CURSOR FOR SELECT email FROM customers;
FETCH 1 FROM a;
FETCH 1 FROM b;
FETCH 1 FROM a;
-- case: a quoted name, and the one it folds to
BEGIN;
DECLARE "C" CURSOR FOR SELECT email FROM customers;
DECLARE c CURSOR FOR SELECT name FROM customers;
FETCH ALL FROM "C";
-- case: BINARY
BEGIN;
DECLARE c BINARY CURSOR FOR SELECT email, salary, token, born FROM customers;
FETCH ALL FROM c;
-- case: MOVE counts rows
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM customers WHERE email > 'zqI';
MOVE ALL FROM c;
-- case: WHERE CURRENT OF
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM customers WHERE id = 1 FOR UPDATE;
FETCH 1 FROM c;
UPDATE customers SET name = email WHERE CURRENT OF c;
-- case: WHERE CURRENT OF, returning
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM customers WHERE id = 1 FOR UPDATE;
FETCH 1 FROM c;
UPDATE customers SET name = name WHERE CURRENT OF c RETURNING email, lower(card);
-- case: a cursor over a view
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM contact_upper;
FETCH ALL FROM c;
-- case: FETCH inside of something else
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customers;
CREATE TEMP TABLE t AS FETCH ALL FROM c;
-- case: an existing cursor of a function
BEGIN;
SELECT leak_set();
-- case: EXPLAIN of a cursor
EXPLAIN ANALYZE DECLARE c CURSOR FOR SELECT email FROM customers WHERE email > 'zqI';
-- case: pg_cursors
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customers;
SELECT name, statement FROM pg_cursors;
