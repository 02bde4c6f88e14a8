-- Set operations.

-- case: UNION ALL beside a constant
SELECT email FROM customers UNION ALL SELECT 'x';
-- case: UNION ALL beside an unmasked column
SELECT name FROM customers UNION ALL SELECT email FROM customers;
-- case: UNION removes what is equal
SELECT email FROM customers UNION SELECT 'zqKwyjibo1vault@xKwyjibo.test';
-- case: INTERSECT with a guess
SELECT email FROM customers INTERSECT SELECT 'zqKwyjibo1vault@xKwyjibo.test';
-- case: EXCEPT
SELECT 'zqKwyjibo1vault@xKwyjibo.test' EXCEPT SELECT email FROM customers;
-- case: EXCEPT ALL
SELECT email FROM newsletter EXCEPT ALL SELECT email FROM customers;
-- case: an origin that the target reports for the first arm only
SELECT topic FROM newsletter UNION ALL SELECT card FROM customers;
-- case: set operations of whole tables
TABLE customers UNION ALL TABLE customers;
-- case: set operations of whole tables that remove duplicates
SELECT id FROM (TABLE customers UNION TABLE customers) x;
-- case: nested arms
(SELECT name FROM customers UNION ALL (SELECT email FROM customers UNION ALL SELECT card FROM customers));
-- case: order of the whole
SELECT email FROM customers UNION ALL SELECT topic FROM newsletter ORDER BY 1;
-- case: order of an arm that is cut
(SELECT id, name FROM customers ORDER BY email LIMIT 1) UNION ALL SELECT 0, '';
-- case: arms of different types, an error of the values
SELECT email FROM customers UNION ALL SELECT NULL UNION ALL SELECT card FROM customers;
-- case: VALUES as an arm
VALUES (1, 'x') UNION ALL SELECT id, email FROM customers;
-- case: a column of other type
SELECT salary FROM customers UNION ALL SELECT 1;
-- case: a column that widens
SELECT salary FROM customers UNION ALL SELECT 1.5;
-- case: a view made of one
SELECT id, email FROM contact_union;
-- case: a count over one
SELECT count(*) FROM (SELECT email FROM customers UNION SELECT email FROM newsletter) x;
