-- Views: masks hold for what is behind them.

-- case: a renamed column
SELECT * FROM contact;
-- case: a view of a view
SELECT address FROM contact2;
-- case: computed in the view
SELECT * FROM contact_upper;
-- case: a column of a view that computes, beside one that does not
SELECT id, n FROM contact_upper;
-- case: filtered in the view
SELECT * FROM contact_filtered;
-- case: counting what is filtered in the view
SELECT count(*) FROM contact_filtered;
-- case: a union in the view
SELECT email FROM contact_union;
-- case: a security barrier
SELECT email, name FROM contact_barrier;
-- case: a function in WHERE over a barrier
SELECT name FROM contact_barrier WHERE leak(id) IS NOT NULL;
-- case: the whole row of a view
SELECT contact FROM contact;
-- case: a view of whole rows
SELECT to_json(whole) FROM contact_rows;
-- case: a recursive view
SELECT * FROM contact_r;
-- case: a view with a filter on a masked column
SELECT id FROM contact_open;
-- case: a view over a function
SELECT * FROM via_function;
-- case: a view over XML
SELECT * FROM via_xml;
-- case: a view that joins, no masked column in it
SELECT * FROM orders_of ORDER BY id LIMIT 3;
-- case: a materialized view
SELECT * FROM contact_m;
-- case: a materialized view's computed column
SELECT card_up FROM contact_m;
-- case: a predicate on a materialized view
SELECT id FROM contact_m WHERE email LIKE 'zqK%';
-- case: counts in a materialized view
SELECT start, n FROM contact_counts;
-- case: rows of a materialized view made by groups
SELECT count(*) FROM contact_counts;
-- case: a new view
-- refused
CREATE VIEW public.mine AS SELECT email FROM customers;
-- case: a new temporary view, then read
CREATE TEMP VIEW mine AS SELECT email AS e FROM customers;
SELECT e FROM mine;
-- case: a temporary view over a relation that only looks unmasked
CREATE TEMP VIEW mine AS SELECT * FROM contact2;
SELECT * FROM mine;
-- case: a view replaced
-- refused
CREATE OR REPLACE VIEW orders_of AS SELECT 1 AS id, 1.0 AS total, email AS name FROM customers;
-- case: a temporary recursive view
CREATE TEMP RECURSIVE VIEW mine (e) AS SELECT email FROM customers;
SELECT e FROM mine;
-- case: a materialized view
-- refused
CREATE MATERIALIZED VIEW mine AS SELECT email FROM customers;
-- case: refreshing one, then reading it
REFRESH MATERIALIZED VIEW contact_m;
SELECT * FROM contact_m;
-- case: a view hides a table of the same name
SELECT * FROM pg_temp.customers;
-- case: a temporary view in place of a table
CREATE TEMP VIEW notes AS SELECT id, email AS body, 1 AS n FROM public.customers;
SELECT body FROM notes;
-- case: a system view over what the server keeps
SELECT definition FROM pg_views WHERE viewname = 'contact_filtered' AND definition IS NULL;
