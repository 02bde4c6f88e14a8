-- Partitions, inheritance, generated columns, toast, text search.

-- case: the parent
SELECT email FROM people;
-- case: a partition by name
SELECT email FROM people_eu;
-- case: a partition, computed
SELECT upper(email) FROM people_us;
-- case: a predicate on a partition
SELECT id FROM people_eu WHERE email LIKE 'zqK%';
-- case: which partition
SELECT tableoid::regclass, id, email FROM people;
-- case: a child of a masked table
SELECT wage FROM managers;
-- case: a child's own columns
SELECT bonus, wage FROM managers;
-- case: a child in a predicate
SELECT id FROM managers WHERE wage > 1000000;
-- case: the parent only
SELECT wage FROM ONLY staff;
-- case: a generated column
SELECT email_lower FROM customers;
-- case: a generated column, computed
SELECT upper(email_lower) FROM customers;
-- case: a generated column in a predicate
SELECT id FROM customers WHERE email_lower > 'zqk';
-- case: large values
SELECT secret FROM big;
-- case: parts of large values
SELECT substr(secret, 1, 10), right(secret, 12), length(secret) FROM big;
-- case: the size of large values
SELECT pg_column_size(secret) FROM big;
-- case: the toast table
SELECT chunk_id, chunk_data FROM pg_toast.pg_toast_2619;
-- case: text search
SELECT body, plain FROM documents;
-- case: lexemes
SELECT unnest(body) FROM documents;
-- case: tsvector_to_array
SELECT tsvector_to_array(body), strip(body), length(body) FROM documents;
-- case: ts_headline
SELECT ts_headline(plain, to_tsquery('other')) FROM documents;
-- case: a search that matches
SELECT id FROM documents WHERE body @@ to_tsquery('simple', 'zqkwyjibolexeme');
-- case: rank
SELECT ts_rank(body, to_tsquery('simple', 'other')) FROM documents;
-- case: to_tsvector
SELECT to_tsvector('simple', email), plainto_tsquery(email) FROM customers;
-- case: ts_debug
SELECT ts_debug('simple', plain) FROM documents;
-- case: ts_parse
SELECT ts_parse('default', plain) FROM documents;
-- case: json_to_tsvector
SELECT jsonb_to_tsvector('simple', profile, '"all"') FROM customers;
-- case: sampled
SELECT email FROM customers TABLESAMPLE bernoulli (100);
-- case: locked
SELECT email FROM customers WHERE id = 1 FOR UPDATE NOWAIT;
-- case: locked OF
SELECT c.email FROM customers c, notes n WHERE n.id = c.id FOR SHARE OF c SKIP LOCKED;
-- case: locked in a subquery
SELECT * FROM (SELECT email FROM customers FOR KEY SHARE) x;
