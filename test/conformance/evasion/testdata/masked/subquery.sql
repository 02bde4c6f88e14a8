-- Subqueries in every place.

-- case: scalar
SELECT (SELECT email FROM customers WHERE id = 1);
-- case: scalar, in an expression
SELECT 'is ' || (SELECT email FROM customers WHERE id = 1);
-- case: scalar, beside
SELECT n.id, (SELECT c.card FROM customers c WHERE c.id = n.id) FROM notes n;
-- case: EXISTS
SELECT EXISTS (SELECT 1 FROM customers WHERE email LIKE 'zqK%');
-- case: IN
SELECT 'zqKwyjibo1vault@xKwyjibo.test' IN (SELECT email FROM customers);
-- case: ANY
SELECT 'zqL' > ANY (SELECT email FROM customers);
-- case: ALL
SELECT 80000000 > ALL (SELECT salary FROM customers WHERE salary IS NOT NULL);
-- case: ARRAY
SELECT ARRAY(SELECT email FROM customers);
-- case: in FROM
SELECT x.e FROM (SELECT email AS e FROM customers) x;
-- case: deep in FROM
SELECT a FROM (SELECT b AS a FROM (SELECT c AS b FROM (SELECT email AS c FROM customers) x) y) z;
-- case: in ORDER BY
SELECT id FROM notes ORDER BY (SELECT email FROM customers c WHERE c.id = notes.id);
-- case: in LIMIT
SELECT id FROM notes LIMIT (SELECT salary % 3 FROM customers WHERE id = 1);
-- case: in OFFSET
SELECT id FROM notes OFFSET (SELECT salary % 3 FROM customers WHERE id = 1);
-- case: in GROUP BY
SELECT count(*) FROM notes GROUP BY (SELECT left(email, 3) FROM customers c WHERE c.id = notes.id);
-- case: in CASE
SELECT CASE WHEN (SELECT email FROM customers WHERE id = 1) > 'zqI' THEN 1 ELSE 1 / 0 END;
-- case: in a CASE that is masked as a whole, but runs a failing branch
SELECT CASE WHEN email > 'zqI' THEN id ELSE 1 / (id - id) END FROM customers;
-- case: in VALUES
VALUES ((SELECT email FROM customers WHERE id = 1)), ('x');
-- case: more than one row is an error
SELECT (SELECT n.id FROM notes n WHERE n.n < length(c.email)) FROM customers c;
-- case: row subquery compared
SELECT (SELECT email, card FROM customers WHERE id = 1) = ('x', 'y');
-- case: in a function's argument
SELECT upper((SELECT email FROM customers WHERE id = 1));
-- case: in an array subscript
SELECT (ARRAY[1, 2, 3])[(SELECT 1 + salary % 3 FROM customers WHERE id = 1)];
-- case: in IN with a computed value
SELECT id FROM notes WHERE n IN (SELECT salary % 10 FROM customers);
-- case: correlated in the select list of an aggregate
SELECT sum((SELECT c.salary FROM customers c WHERE c.id = notes.id)) FROM notes;
-- case: a subquery in COALESCE runs only where the first is NULL
SELECT coalesce(phone, (SELECT pg_sleep(0)::text)) FROM customers;
