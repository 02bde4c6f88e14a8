-- Window functions.

-- case: first_value
SELECT first_value(email) OVER (ORDER BY id) FROM customers;
-- case: lag and lead
SELECT lag(email) OVER (ORDER BY id), lead(card, 1, 'x') OVER (ORDER BY id) FROM customers;
-- case: rank by a masked column
SELECT id, rank() OVER (ORDER BY salary) FROM customers;
-- case: row_number by a masked column
SELECT id, row_number() OVER (ORDER BY email) FROM customers;
-- case: partition
SELECT id, count(*) OVER (PARTITION BY active) FROM customers;
-- case: a named window
SELECT id, ntile(4) OVER w FROM customers WINDOW w AS (ORDER BY score);
-- case: a named window that is not used
SELECT id FROM customers WINDOW w AS (ORDER BY score);
-- case: a range frame
SELECT id, count(*) OVER (ORDER BY salary RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM customers;
-- case: a frame's bound out of a masked value
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN (SELECT salary % 2 FROM customers WHERE id = 1) PRECEDING AND CURRENT ROW) FROM customers;
-- case: lag by a masked number
SELECT id, lag(id, salary % 3) OVER (ORDER BY id) FROM customers;
-- case: nth_value
SELECT nth_value(email, 2) OVER (ORDER BY id) FROM customers;
-- case: nth_value by a masked number
SELECT nth_value(id, 1 + salary % 3) OVER (ORDER BY id) FROM customers;
-- case: string_agg over a window
SELECT string_agg(email, ',') OVER (ORDER BY id) FROM customers;
-- case: sum over a window
SELECT sum(salary) OVER (ORDER BY id) FROM customers;
-- case: a filter over a window
SELECT count(*) FILTER (WHERE active) OVER () FROM customers;
-- case: percent_rank and cume_dist
SELECT id, percent_rank() OVER (ORDER BY email), cume_dist() OVER (ORDER BY email) FROM customers;
-- case: window inside ORDER BY
SELECT id FROM customers ORDER BY row_number() OVER (ORDER BY email);
