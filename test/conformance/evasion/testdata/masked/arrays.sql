-- Arrays.

-- case: array_agg
SELECT array_agg(email), array_agg(DISTINCT card), array_agg(email ORDER BY id) FROM customers;
-- case: array_agg, unnested
SELECT unnest(array_agg(email)) FROM customers;
-- case: unnest of a masked array
SELECT unnest(tags) FROM customers;
-- case: unnest in FROM with ordinality
SELECT c.id, u.* FROM customers c, unnest(c.tags) WITH ORDINALITY u;
-- case: ROWS FROM
SELECT r.* FROM customers c, ROWS FROM (unnest(c.tags), generate_series(1, 2)) r (a, b);
-- case: array_to_string
SELECT array_to_string(tags, ','), array_to_string(ARRAY[email, card], '|') FROM customers;
-- case: an element
SELECT tags[1], (ARRAY[email])[1] FROM customers;
-- case: array_position
SELECT array_position(tags, 'zqKwyjibotag1'), tags && ARRAY['x'], 'x' = ANY (tags) FROM customers;
-- case: array_cat, append, remove
SELECT array_append(tags, 'x'), array_cat(tags, tags), array_remove(tags, 'x'), tags || 'x' FROM customers;
-- case: array_fill takes time
SELECT cardinality(array_fill(1, ARRAY[salary % 100])) FROM customers;
-- case: cardinality
SELECT cardinality(tags), array_dims(tags), array_upper(tags, 1) FROM customers;
-- case: a two-dimensional array fails where lengths differ
SELECT ARRAY[tags, ARRAY['x', 'y', 'z']] FROM customers;
-- case: hstore of arrays
SELECT hstore(tags), hstore('e', email) FROM customers;
-- case: crosstab reads by text
SELECT * FROM crosstab('SELECT id, ''e'', email FROM customers') AS t (id int, e text);
-- case: connectby reads by name
SELECT * FROM connectby('customers', 'email', 'card', 'x', 0) AS t (a text, b text, c int);
-- case: a slice that a masked value bounds
SELECT (ARRAY[1, 2, 3, 4])[1:1 + salary % 4] FROM customers;
