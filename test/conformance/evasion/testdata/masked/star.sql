-- Stars: every way to say "all columns".

-- case: all columns
SELECT * FROM customers;
-- case: TABLE
TABLE customers;
-- case: all columns of one member
SELECT c.*, o.id FROM customers c JOIN orders o ON o.customer_id = c.id;
-- case: a star of a star
SELECT * FROM (SELECT * FROM (SELECT * FROM customers) a) b;
-- case: a star with renamed columns
SELECT x.* FROM (SELECT * FROM customers) AS x (a, b, c, d);
-- case: the star of a row expression
SELECT (customers).* FROM customers;
-- case: the star of a row in a subquery
SELECT (x).* FROM (SELECT c AS x FROM customers c) s;
-- case: the star of a function's argument
SELECT (SELECT (c).email) FROM customers c;
-- case: a star in EXISTS decides nothing
SELECT id FROM notes WHERE EXISTS (SELECT * FROM customers WHERE customers.id = notes.id);
-- case: the columns of two members that merge
SELECT * FROM customers JOIN customers c2 USING (id) LIMIT 3;
-- case: ONLY and a star
SELECT * FROM ONLY customers;
-- case: the old star behind a table
SELECT * FROM customers *;
-- case: values beside a star
SELECT 'x', *, 1 FROM customers;
-- case: a star over generated columns
SELECT email_lower, e.* FROM customers c, LATERAL (SELECT c.*) e;
-- case: stars of whole rows in LATERAL
SELECT l.* FROM customers c CROSS JOIN LATERAL (SELECT (c).*) l;
