-- Whole rows, composite values and records.

-- case: the row itself
SELECT customers FROM customers;
-- case: the row as text
SELECT c::text FROM customers c;
-- case: a row of chosen columns
SELECT ROW(id, email) FROM customers;
-- case: a row without ROW
SELECT (id, card) FROM customers;
-- case: the row as another row type
SELECT c::customers FROM customers c;
-- case: a field of a row
SELECT (c).email FROM customers c;
-- case: a field of a record in a subquery
SELECT (x.r).email FROM (SELECT c AS r FROM customers c) x;
-- case: a row compared
SELECT id FROM customers c WHERE c > ROW(1, 'x', 'x', 'zqK', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::customers;
-- case: a row whose order is asked for
SELECT id FROM customers c ORDER BY c;
-- case: the number of distinct rows
SELECT count(DISTINCT c) FROM customers c;
-- case: whether any field is NULL
SELECT id, c IS NULL, c IS NOT NULL FROM customers c;
-- case: a composite column
SELECT p, (p).a, (p).b FROM composites;
-- case: a field of a composite column in a predicate
SELECT id FROM composites WHERE (p).b > 100000;
-- case: a composite column by its text
SELECT p::text, to_json(p) FROM composites;
-- case: the hash of a row
SELECT hash_record(c) FROM customers c;
-- case: the size of a row
SELECT id, pg_column_size(c) FROM customers c;
-- case: hstore of a row
SELECT hstore(c) FROM customers c;
-- case: each of hstore of a row
SELECT (each(hstore(c))).* FROM customers c;
-- case: records by json_populate_record
SELECT (json_populate_record(NULL::customers, row_to_json(c))).email FROM customers c;
-- case: a record function
SELECT (jsonb_populate_record(c, '{"name": "x"}')).email FROM customers c;
-- case: a view of whole rows
SELECT whole FROM contact_rows;
-- case: a field out of a view of whole rows
SELECT (whole).email FROM contact_rows;
-- case: whole rows in a set operation
SELECT c FROM customers c UNION ALL SELECT c FROM customers c;
-- case: array of rows, unnested
SELECT u.email FROM (SELECT array_agg(c) AS a FROM customers c) x, unnest(x.a) u;
-- case: IS DISTINCT FROM a row
SELECT c IS DISTINCT FROM c2 FROM customers c JOIN customers c2 ON c2.id = c.id + 1;
-- case: a row through a function's argument
SELECT fullname(c) FROM customers c;
-- case: a row through a function's notation
SELECT c.fullname FROM customers c;
-- case: num_nulls of a row
SELECT num_nulls(VARIADIC ARRAY[email, card]) FROM customers;
