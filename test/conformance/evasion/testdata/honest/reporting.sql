-- Reports: joins, groups, windows, dates, pivots, pages.

-- case: all of a table
SELECT * FROM orders ORDER BY id;
-- case: all of a masked table
SELECT * FROM customers ORDER BY id;
-- case: a page
SELECT id, name, email FROM customers ORDER BY id LIMIT 3 OFFSET 3;
-- case: a page by key
SELECT id, name, email, card FROM customers WHERE id > 3 ORDER BY id LIMIT 3;
-- case: a page by FETCH FIRST
SELECT id, email FROM customers ORDER BY id DESC FETCH FIRST 2 ROWS ONLY;
-- case: one row
SELECT * FROM customers WHERE id = 4;
-- case: several by key
SELECT id, email FROM customers WHERE id IN (1, 3, 5) ORDER BY id;
-- case: several by array
SELECT id, email FROM customers WHERE id = ANY (ARRAY[1, 3]) ORDER BY id;
-- case: by name
SELECT id, card FROM customers WHERE name LIKE 'name%' AND region = 'eu' ORDER BY name;
-- case: by pattern
SELECT id FROM customers WHERE name ~ '^name[1-3]$' ORDER BY id;
-- case: joined
SELECT o.id, o.total, c.name, c.email FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id;
-- case: joined by USING
SELECT id, c.email, n.body FROM customers c JOIN notes n USING (id) ORDER BY id;
-- case: left joined
SELECT c.id, c.email, n.topic FROM customers c LEFT JOIN newsletter n ON n.id = c.id ORDER BY c.id;
-- case: right joined
SELECT c.id, c.email, n.topic FROM newsletter n RIGHT JOIN customers c ON n.id = c.id ORDER BY c.id;
-- case: full joined
SELECT c.id, n.id AS note, c.email FROM customers c FULL JOIN notes n ON n.id = c.id ORDER BY c.id, n.id;
-- case: cross joined
SELECT c.id, g, c.email FROM customers c CROSS JOIN generate_series(1, 2) g ORDER BY 1, 2;
-- case: joined to itself
SELECT a.id, a.email, b.name FROM customers a JOIN customers b ON b.id = a.id + 1 ORDER BY a.id;
-- case: three of them
SELECT c.id, c.email, o.id AS o, n.body FROM customers c JOIN orders o ON o.customer_id = c.id JOIN notes n ON n.id = c.id ORDER BY 1, 3;
-- case: grouped
SELECT status, count(*), sum(total), avg(total) FROM orders GROUP BY status ORDER BY status;
-- case: grouped by a joined column
SELECT c.region, count(*), sum(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.region ORDER BY 1;
-- case: grouped by key, with a masked column that depends on it
SELECT c.id, c.email, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id;
-- case: HAVING
SELECT customer_id, sum(total) FROM orders GROUP BY customer_id HAVING sum(total) > 200 ORDER BY 1;
-- case: ROLLUP
SELECT region, status, count(*) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY ROLLUP (region, status) ORDER BY 1 NULLS LAST, 2 NULLS LAST;
-- case: CUBE with GROUPING
SELECT region, status, grouping(region, status), sum(total) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY CUBE (region, status) ORDER BY 3, 1, 2;
-- case: GROUPING SETS
SELECT status, customer_id, count(*) FROM orders GROUP BY GROUPING SETS ((status), (customer_id), ()) ORDER BY 1, 2;
-- case: a pivot by CASE
SELECT customer_id, sum(CASE WHEN status = 'open' THEN total ELSE 0 END) AS open, sum(CASE WHEN status = 'paid' THEN total ELSE 0 END) AS paid FROM orders GROUP BY customer_id ORDER BY 1;
-- case: a pivot by FILTER
SELECT customer_id, count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE total > 30) AS large FROM orders GROUP BY 1 ORDER BY 1;
-- case: by month
SELECT date_trunc('month', placed) AS month, count(*), sum(total) FROM orders GROUP BY 1 ORDER BY 1;
-- case: by week
SELECT to_char(placed, 'IYYY-IW') AS week, count(*) FROM orders GROUP BY week ORDER BY week;
-- case: by day and hour
SELECT extract(dow FROM placed) AS day, extract(hour FROM placed) AS hour, count(*) FROM orders GROUP BY 1, 2 ORDER BY 1, 2;
-- case: by bins of time
SELECT date_bin('12 hours', placed, timestamptz '2026-01-01'), count(*) FROM orders GROUP BY 1 ORDER BY 1;
-- case: by bins of amounts
SELECT width_bucket(total, 0, 100, 5) AS bucket, count(*), min(total), max(total) FROM orders GROUP BY bucket ORDER BY bucket;
-- case: gaps filled
SELECT d::date, count(o.id) FROM generate_series(timestamptz '2026-01-01', timestamptz '2026-01-10', interval '1 day') d LEFT JOIN orders o ON o.placed >= d AND o.placed < d + interval '1 day' GROUP BY d ORDER BY d;
-- case: the last thirty days
SELECT count(*) FROM orders WHERE placed > timestamptz '2026-01-20' - interval '30 days';
-- case: DISTINCT
SELECT DISTINCT status FROM orders ORDER BY 1;
-- case: DISTINCT ON
SELECT DISTINCT ON (customer_id) customer_id, id, total FROM orders ORDER BY customer_id, total DESC, id;
-- case: DISTINCT over what is unmasked of a masked table
SELECT DISTINCT region FROM customers ORDER BY region;
-- case: running totals
SELECT id, total, sum(total) OVER (ORDER BY id) FROM orders ORDER BY id;
-- case: ranks
SELECT id, customer_id, rank() OVER (PARTITION BY customer_id ORDER BY total DESC) FROM orders ORDER BY 2, 3, 1;
-- case: the first per group
SELECT * FROM (SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY placed DESC) AS r FROM orders o) x WHERE r = 1 ORDER BY customer_id;
-- case: the first per group, with a masked column
SELECT id, email, r FROM (SELECT c.id, c.email, row_number() OVER (PARTITION BY region ORDER BY c.id) AS r FROM customers c) x WHERE r <= 2 ORDER BY id;
-- case: changes
SELECT id, total - lag(total) OVER w AS change FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY id) ORDER BY id;
-- case: moving averages
SELECT id, avg(total) OVER (ORDER BY id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) FROM orders ORDER BY id;
-- case: shares
SELECT status, round(100.0 * count(*) / sum(count(*)) OVER (), 1) FROM orders GROUP BY status ORDER BY 1;
-- case: ntile and percent_rank
SELECT id, ntile(4) OVER (ORDER BY total), percent_rank() OVER (ORDER BY total) FROM orders ORDER BY id;
-- case: percentiles
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY status) FROM orders;
-- case: statistics
SELECT stddev(total), variance(total), corr(total, id), regr_slope(total, id) FROM orders;
-- case: lists
SELECT customer_id, string_agg(status, ',' ORDER BY id), array_agg(id ORDER BY id) FROM orders GROUP BY 1 ORDER BY 1;
-- case: JSON of unmasked columns
SELECT id, detail ->> 'sku', (detail ->> 'qty')::int, detail #>> '{sku}', detail @> '{"qty": 2}' FROM orders ORDER BY id;
-- case: grouped by a field of JSON
SELECT detail ->> 'sku' AS sku, sum((detail ->> 'qty')::int) FROM orders GROUP BY sku ORDER BY sku;
-- case: a JSON document of a report
SELECT jsonb_build_object('status', status, 'n', count(*)) FROM orders GROUP BY status ORDER BY status;
-- case: rows as JSON
SELECT json_agg(row_to_json(x)) FROM (SELECT id, total FROM orders ORDER BY id LIMIT 3) x;
-- case: keys of documents
SELECT DISTINCT jsonb_object_keys(detail) AS k FROM orders ORDER BY k;
-- case: elements of documents
SELECT o.id, e.key, e.value FROM orders o, jsonb_each_text(o.detail) e ORDER BY 1, 2 LIMIT 10;
-- case: paths
SELECT jsonb_path_query_first(detail, '$.qty') FROM orders ORDER BY id LIMIT 5;
-- case: a union of two sources
SELECT 'note' AS source, body AS text FROM notes UNION ALL SELECT 'topic', topic FROM newsletter ORDER BY 1, 2;
-- case: UNION, EXCEPT and INTERSECT of unmasked columns
(SELECT id FROM customers UNION SELECT id FROM notes) EXCEPT SELECT id FROM newsletter ORDER BY 1;
-- case: INTERSECT
SELECT id FROM customers INTERSECT SELECT id FROM notes ORDER BY 1;
-- case: those without orders
SELECT c.id, c.email FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.total > 85) ORDER BY c.id;
-- case: those with orders
SELECT id, email FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 80) ORDER BY id;
-- case: more than the average
SELECT id, total FROM orders WHERE total > (SELECT avg(total) FROM orders) ORDER BY id;
-- case: the latest order of each
SELECT c.id, c.email, l.id AS o, l.total FROM customers c LEFT JOIN LATERAL (SELECT id, total FROM orders WHERE customer_id = c.id ORDER BY placed DESC LIMIT 1) l ON true ORDER BY c.id;
-- case: a scalar subquery
SELECT o.id, (SELECT c.name FROM customers c WHERE c.id = o.customer_id) FROM orders o ORDER BY o.id LIMIT 5;
-- case: a scalar subquery of a masked column
SELECT o.id, (SELECT c.email FROM customers c WHERE c.id = o.customer_id) AS email FROM orders o WHERE o.id < 9 ORDER BY o.id;
-- case: a chain of CTEs
WITH a AS (SELECT customer_id, sum(total) AS t FROM orders GROUP BY 1), b AS (SELECT customer_id, t, rank() OVER (ORDER BY t DESC) AS r FROM a) SELECT c.id, c.email, b.t, b.r FROM b JOIN customers c ON c.id = b.customer_id ORDER BY b.r, c.id;
-- case: a CTE that carries a masked column
WITH x AS (SELECT id, email, region FROM customers) SELECT id, email FROM x WHERE region = 'eu' ORDER BY id;
-- case: a CTE used twice
-- masked: other=email
WITH x AS (SELECT id, email FROM customers WHERE id < 4) SELECT a.id, a.email, b.email AS other FROM x a JOIN x b ON b.id = a.id ORDER BY a.id;
-- case: a recursive CTE
WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT n, n * n FROM t;
-- case: a recursive CTE over a masked table
WITH RECURSIVE t AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM customers c JOIN t ON c.id = t.id + 1) SELECT id, email FROM t ORDER BY id;
-- case: a subquery that carries a masked column
SELECT y.id, y.email FROM (SELECT x.id, x.email FROM (SELECT * FROM customers) x) y ORDER BY y.id;
-- case: VALUES
SELECT v.k, n.body FROM (VALUES (1, 'one'), (2, 'two')) v (id, k) JOIN notes n ON n.id = v.id ORDER BY v.id;
-- case: counting a masked table
SELECT count(*) FROM customers;
-- case: what is missing
SELECT count(*) FILTER (WHERE region IS NULL), count(DISTINCT region) FROM customers;
-- case: a table sample
SELECT count(*) FROM orders TABLESAMPLE bernoulli (100);
-- case: coalesce and nullif
SELECT id, coalesce(body, 'none'), nullif(n, 3) FROM notes ORDER BY id;
-- case: text
SELECT upper(name), length(name), left(name, 2), replace(name, 'name', 'n'), concat(id, '-', name), name || '!' FROM customers ORDER BY id;
-- case: format and padding
SELECT format('%s: %s', id, body), lpad(id::text, 5, '0') FROM notes ORDER BY id;
-- case: regular expressions
SELECT regexp_replace(body, '[0-9]', '#'), regexp_match(body, '([0-9])'), split_part(body, ' ', 2) FROM notes ORDER BY id;
-- case: numbers
SELECT round(total, 0), ceil(total), total % 7, total::int, abs(-total), sqrt(total) FROM orders ORDER BY id LIMIT 5;
-- case: dates
SELECT placed::date, placed + interval '1 month', age(timestamptz '2026-06-01', placed), extract(epoch FROM placed) FROM orders ORDER BY id LIMIT 5;
-- case: time zones
SELECT placed AT TIME ZONE 'UTC', placed AT TIME ZONE 'Europe/Berlin' FROM orders ORDER BY id LIMIT 5;
-- case: arrays
SELECT ARRAY[id, n], array_length(ARRAY[1, 2], 1), id = ANY (ARRAY[1, 2]) FROM notes ORDER BY id;
-- case: unnest
SELECT * FROM unnest(ARRAY['a', 'b'], ARRAY[1, 2]) AS u (k, v);
-- case: series
SELECT g, g * 2 FROM generate_series(1, 5) g;
-- case: hashes of unmasked values
SELECT md5(body), encode(sha256(body::bytea), 'hex') FROM notes ORDER BY id;
-- case: a masked table in the outermost list of an aggregate's query
SELECT region, count(*), min(id), max(name) FROM customers GROUP BY region ORDER BY region;
-- case: order by an expression of what is unmasked
SELECT id, email FROM customers ORDER BY length(name), id DESC;
-- case: bool aggregates
SELECT bool_and(total > 0), bool_or(status = 'open'), every(id > 0) FROM orders;
-- case: partitioned
SELECT id, email, region FROM people ORDER BY id;
-- case: one partition
SELECT id, email FROM people_eu ORDER BY id;
-- case: a count per partition
SELECT tableoid::regclass, count(*) FROM people GROUP BY 1 ORDER BY 1;
-- case: inherited
SELECT id, wage FROM staff ORDER BY id;
-- case: odd names
SELECT "sélect", "E-mail" FROM "Odd ""name";
-- case: a join that compares unmasked names
SELECT c.id FROM customers c JOIN newsletter n ON n.topic = 'topic' || (c.id % 2) GROUP BY c.id ORDER BY c.id;
-- case: newsletter's own addresses are not masked
-- clear: email
SELECT id, email, lower(email), split_part(email, '@', 2) FROM newsletter WHERE email LIKE 'reader%' ORDER BY email;
-- case: both kinds of addresses
-- clear: own
SELECT c.id, c.email, n.email AS own FROM customers c JOIN newsletter n ON n.id = c.id ORDER BY n.email;
