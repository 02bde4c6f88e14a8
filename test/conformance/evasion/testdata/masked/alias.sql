-- Aliases and names: what a masked column is called does not matter.

-- case: another name
SELECT email AS id FROM customers;
-- case: swapped names
SELECT email AS name, name AS email FROM customers;
-- case: names for the columns of a table
SELECT d, e FROM customers AS t (a, b, c, d, e);
-- case: names for the columns of a table that make an unmasked one look masked and the other way round
SELECT email, name FROM customers AS t (id, email, region, name);
-- case: quoted, folded and Unicode names
SELECT "email", EMAIL, U&"\0065mail", U&"!0065mail" UESCAPE '!' FROM customers;
-- case: quoted relation names
SELECT "E-mail", "sélect" FROM "Odd ""name";
-- case: a quoted relation name in Unicode escapes
SELECT U&"E-m\0061il" AS x FROM U&"Odd ""n\0061me";
-- case: qualified by schema
SELECT public.customers.email FROM public.customers;
-- case: qualified by database
SELECT shop.public.customers.email FROM shop.public.customers;
-- case: the alias of a join
SELECT j.email FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j (id, name, region, x, email);
-- case: comments in between
SELECT/**/email/* nested /* comment */ email */AS/**/x/**/FROM/**/customers;
-- case: a comment that hides the rest in other parsers
SELECT email || '' -- FROM notes
FROM customers;
-- case: function notation for a column
SELECT email(customers) FROM customers;
-- case: a column notation for a function
SELECT c.lower FROM (SELECT email AS c FROM customers) AS c;
-- case: a string constant with escapes is not a name
SELECT E'\x65mail', email FROM customers WHERE name = E'n\141me1';
-- case: no name at all
SELECT (email) FROM customers;
-- case: an alias that is a keyword
SELECT email AS "select", card AS "from" FROM customers AS "where";
-- case: a column without AS
SELECT email name FROM customers;
