-- COPY.

-- case: a relation
COPY customers TO STDOUT;
-- case: chosen columns
COPY customers (id, email, card) TO STDOUT;
-- case: CSV with a header
COPY customers (id, email) TO STDOUT WITH (FORMAT csv, HEADER, QUOTE '''', FORCE_QUOTE *);
-- case: binary
COPY customers (id, email, salary, token) TO STDOUT WITH (FORMAT binary);
-- case: a query
COPY (SELECT email, name FROM customers) TO STDOUT;
-- case: a computed query
COPY (SELECT upper(email) FROM customers) TO STDOUT WITH (FORMAT csv);
-- case: a query in binary
COPY (SELECT card, email FROM customers) TO STDOUT WITH (FORMAT binary);
-- case: a delimiter that is in the values
COPY (SELECT email, 'x' FROM customers) TO STDOUT WITH (DELIMITER 'v');
-- case: a NULL that is a value
COPY (SELECT email, id FROM customers) TO STDOUT WITH (NULL '[masked]');
-- case: by its old syntax
COPY customers (email) TO STDOUT WITH DELIMITER '|' NULL 'none' CSV;
-- case: a view
COPY (SELECT * FROM contact_upper) TO STDOUT;
-- case: a materialized view
COPY (TABLE contact_m) TO STDOUT;
-- case: a partition
COPY people_eu TO STDOUT;
-- case: with RETURNING
BEGIN;
COPY (UPDATE customers SET region = 'x' RETURNING email) TO STDOUT;
-- case: with RETURNING, computed
BEGIN;
COPY (UPDATE customers SET region = 'x' RETURNING lower(email)) TO STDOUT;
-- case: to a file
-- refused
COPY customers TO '{stolen}';
-- case: to a file, of a query
-- refused
COPY (SELECT email FROM customers) TO '{stolen}';
-- case: to a program
-- refused
COPY (SELECT email FROM customers) TO PROGRAM 'cat > {stolen}';
-- case: WHERE in COPY FROM
-- only: psql
BEGIN;
COPY notes FROM STDIN WHERE body > (SELECT email FROM customers WHERE id = 1);
-- case: COPY FROM of a guess, by the error of the unique key
-- only: psql
BEGIN;
COPY customers (id, name, email) FROM STDIN WITH (FORMAT csv);
-- case: another encoding
COPY customers (email) TO STDOUT WITH (ENCODING 'LATIN1');
-- case: a query with ORDER BY a masked column
COPY (SELECT id FROM customers ORDER BY email) TO STDOUT;
-- case: \copy
-- only: psql
\copy customers (id, email) to stdout
-- case: \copy of a query
-- only: psql
\copy (select lower(email) from customers) to stdout csv
-- case: a whole row
COPY (SELECT c FROM customers c) TO STDOUT;
-- case: a row as CSV inside of CSV
COPY (SELECT c::text, 1 FROM customers c) TO STDOUT WITH (FORMAT csv);
