-- Joins: which rows find each other must not depend on a masked value.

-- case: plain columns over a join
SELECT c.email, o.total FROM customers c JOIN orders o ON o.customer_id = c.id;
-- case: equality with a guess
SELECT c.id FROM customers c JOIN (VALUES ('zqKwyjibo1vault@xKwyjibo.test')) v (g) ON v.g = c.email;
-- case: USING a masked column
SELECT newsletter.id FROM customers JOIN newsletter USING (email);
-- case: NATURAL over a masked column
SELECT count(*) FROM customers NATURAL JOIN newsletter;
-- case: NATURAL in a view
SELECT count(*) FROM contact NATURAL JOIN (SELECT email AS address FROM newsletter) n;
-- case: an outer join that shows who is missing
SELECT v.g, c.id FROM (VALUES ('zqKwyjibo1vault@xKwyjibo.test'), ('x')) v (g) LEFT JOIN customers c ON c.email = v.g;
-- case: a semi join
SELECT id FROM customers WHERE email IN (SELECT email FROM newsletter);
-- case: an anti join
SELECT id FROM newsletter n WHERE NOT EXISTS (SELECT FROM customers c WHERE c.email = n.email);
-- case: a self join over the order of a masked value
SELECT a.id, b.id FROM customers a JOIN customers b ON a.email < b.email;
-- case: a cross join with a predicate
SELECT a.id, b.id FROM customers a, customers b WHERE a.salary > b.salary;
-- case: LATERAL
SELECT c.id, l.x FROM customers c, LATERAL (SELECT 1 AS x WHERE c.email LIKE 'zqK%') l;
-- case: LATERAL with LIMIT
SELECT c.id, l.id FROM customers c, LATERAL (SELECT id FROM orders ORDER BY id LIMIT c.salary % 3) l;
-- case: LATERAL generate_series
SELECT c.id, g FROM customers c, generate_series(1, c.salary % 5) g;
-- case: full join merged column
SELECT email FROM customers FULL JOIN newsletter USING (email);
-- case: full join merged by another column
SELECT id, customers.email, newsletter.email FROM customers FULL JOIN newsletter USING (id);
-- case: join alias
SELECT j.email FROM customers JOIN newsletter USING (email) AS j;
-- case: ON with a subquery
SELECT o.id FROM orders o JOIN notes n ON n.id = (SELECT count(*) FROM customers WHERE email > 'zqI');
-- case: three-way with a masked bridge
SELECT o.id FROM orders o JOIN customers c ON true JOIN notes n ON length(c.email) = n.n;
