-- Aggregates, groups and distinct values.

-- case: min and max
SELECT min(email), max(email), max(salary), min(born) FROM customers;
-- case: sum and avg
SELECT sum(salary), avg(score), stddev(balance) FROM customers;
-- case: sum of small groups
SELECT id, sum(salary) FROM customers GROUP BY id;
-- case: count of values that are not NULL
SELECT count(email), count(salary) FROM customers;
-- case: count of distinct values
SELECT count(DISTINCT email) FROM customers;
-- case: string_agg
SELECT string_agg(email, ','), string_agg(card, '' ORDER BY id) FROM customers;
-- case: string_agg by a masked order
SELECT string_agg(name, ',' ORDER BY email) FROM customers;
-- case: array_agg by a masked order
SELECT array_agg(id ORDER BY salary DESC) FROM customers;
-- case: FILTER
SELECT count(*) FILTER (WHERE email LIKE 'zqK%') FROM customers;
-- case: ordered sets
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY salary), mode() WITHIN GROUP (ORDER BY email) FROM customers;
-- case: hypothetical sets
SELECT rank(1000000) WITHIN GROUP (ORDER BY salary) FROM customers;
-- case: bool_and and bit_or
SELECT bool_and(active), bit_or(salary), every(salary > 0) FROM customers;
-- case: correlation
SELECT corr(salary, id), regr_slope(balance, id) FROM customers;
-- case: GROUP BY
SELECT count(*) FROM customers GROUP BY email;
-- case: GROUP BY its place
SELECT email, count(*) FROM customers GROUP BY 1;
-- case: GROUP BY its alias
SELECT left(card, 1) AS x, count(*) FROM customers GROUP BY x;
-- case: GROUP BY character
SELECT substr(email, 3, 1), count(*) FROM customers GROUP BY 1;
-- case: GROUPING SETS
SELECT grouping(email), count(*) FROM customers GROUP BY GROUPING SETS ((email), ());
-- case: ROLLUP and CUBE
SELECT count(*) FROM customers GROUP BY ROLLUP (salary, active);
-- case: HAVING
SELECT id FROM customers GROUP BY id HAVING max(email) LIKE 'zqK%';
-- case: HAVING without GROUP BY
SELECT 1 FROM customers HAVING sum(salary) > 100000000;
-- case: DISTINCT
SELECT DISTINCT email FROM customers;
-- case: DISTINCT ON
SELECT DISTINCT ON (active) id FROM customers;
-- case: DISTINCT over all columns
SELECT DISTINCT * FROM customers;
-- case: DISTINCT in an aggregate over another column
SELECT sum(DISTINCT salary) - sum(salary) FROM customers;
-- case: functional dependency
SELECT id, email FROM customers GROUP BY id ORDER BY id;
-- case: any_value
SELECT any_value(email) FROM customers;
-- case: a user's aggregate
SELECT leak_agg(1);
-- case: json_object_agg with a key
SELECT json_object_agg(email, name) FROM customers WHERE email IS NOT NULL;
-- case: ORDER BY an aggregate
SELECT region FROM customers GROUP BY region ORDER BY max(email);
-- case: GROUP BY in a subquery that only counts
SELECT count(*) FROM (SELECT 1 FROM customers GROUP BY left(email, 3)) x;
