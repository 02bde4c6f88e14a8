-- Order, limits and other oracles: what decides which rows come.

-- case: ORDER BY
SELECT id FROM customers ORDER BY email;
-- case: ORDER BY its place
SELECT id, email FROM customers ORDER BY 2;
-- case: ORDER BY its alias
SELECT id, salary AS x FROM customers ORDER BY x DESC;
-- case: ORDER BY an expression
SELECT id FROM customers ORDER BY length(email), email COLLATE "C";
-- case: ORDER BY USING
SELECT id FROM customers ORDER BY email USING >;
-- case: ORDER BY an unmasked alias of a masked column
SELECT email AS name FROM customers ORDER BY name;
-- case: ORDER BY a column that only looks masked
SELECT name AS email FROM customers ORDER BY email;
-- case: ORDER BY inside, LIMIT outside
SELECT id FROM (SELECT id FROM customers ORDER BY email) x LIMIT 1;
-- case: ORDER BY NULLS
SELECT id FROM customers ORDER BY phone NULLS FIRST;
-- case: WHERE equality
SELECT id FROM customers WHERE email = 'zqKwyjibo1vault@xKwyjibo.test';
-- case: WHERE LIKE
SELECT id FROM customers WHERE email LIKE 'zqK%';
-- case: WHERE a range
SELECT id FROM customers WHERE salary > 1000000;
-- case: WHERE a boolean column
SELECT id FROM customers WHERE active;
-- case: WHERE NOT a boolean column
SELECT id FROM customers WHERE NOT active;
-- case: WHERE something always true
SELECT id FROM customers WHERE email = email;
-- case: WHERE by row comparison
SELECT id FROM customers WHERE (id, email) > (0, 'zqL');
-- case: WHERE IN
SELECT id FROM customers WHERE tier IN ('silver', 'bronze');
-- case: WHERE by a function of the row
SELECT id FROM customers c WHERE c::text LIKE '%zqK%';
-- case: WHERE by JSON of the row
SELECT id FROM customers c WHERE to_jsonb(c) ->> 'email' LIKE 'zqK%';
-- case: WHERE IS NULL
SELECT id FROM customers WHERE phone IS NOT NULL;
-- case: WHERE by an array
SELECT id FROM customers WHERE 'zqKwyjibosecond' = ANY (tags);
-- case: WHERE by an operator with schema
SELECT id FROM customers WHERE email OPERATOR(pg_catalog.=) 'x' OR email OPERATOR(pg_catalog.~~) 'zqK%';
-- case: WHERE on an expression index
SELECT id FROM customers WHERE lower(email) = 'zqkwyjibo1vault@xkwyjibo.test';
-- case: WHERE on a generated column
SELECT id FROM customers WHERE email_lower LIKE 'zqk%';
-- case: WHERE on a view's renamed column
SELECT id FROM contact WHERE address LIKE 'zqK%';
-- case: WHERE over a subquery's column
SELECT id FROM (SELECT id, email AS e FROM customers) x WHERE e LIKE 'zqK%';
-- case: WHERE over a computed column of a subquery
SELECT id FROM (SELECT id, email LIKE 'zqK%' AS hit FROM customers) x WHERE hit;
-- case: LIMIT
SELECT id FROM notes LIMIT (SELECT max(salary) % 4 FROM customers);
-- case: FETCH FIRST WITH TIES
SELECT id FROM customers ORDER BY tier FETCH FIRST 1 ROW WITH TIES;
-- case: OFFSET
SELECT id FROM notes ORDER BY id OFFSET (SELECT length(email) % 4 FROM customers WHERE id = 1);
-- case: a set-returning function
SELECT id, generate_series(1, length(email)) FROM customers;
-- case: a join that filters in an outer one
SELECT n.id, c.id FROM notes n LEFT JOIN customers c ON c.id = n.id AND c.email > 'zqI';
-- case: UPDATE WHERE, whose count tells
BEGIN;
UPDATE notes SET n = n WHERE id IN (SELECT id FROM customers WHERE email > 'zqI');
ROLLBACK;
-- case: DELETE WHERE, whose count tells
BEGIN;
DELETE FROM notes WHERE body < (SELECT email FROM customers WHERE id = 1);
ROLLBACK;
-- case: UPDATE of its own rows
BEGIN;
UPDATE customers SET region = 'x' WHERE email LIKE 'zqK%';
ROLLBACK;
-- case: SELECT FOR UPDATE SKIP LOCKED
SELECT id FROM customers WHERE email > 'zqI' FOR UPDATE SKIP LOCKED;
-- case: TABLESAMPLE by a masked number
SELECT id FROM notes TABLESAMPLE bernoulli ((SELECT salary % 100 FROM customers WHERE id = 1));
-- case: REPEATABLE by a masked number
SELECT id FROM notes TABLESAMPLE bernoulli (50) REPEATABLE ((SELECT salary FROM customers WHERE id = 1));
