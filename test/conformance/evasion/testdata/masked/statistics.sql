-- What the server knows of the values: statistics, plans, sizes.

-- case: pg_stats
SELECT attname, most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'customers';
-- case: a cast of pg_stats
SELECT most_common_vals::text FROM pg_stats WHERE attname = 'email';
-- case: predicates on pg_stats
SELECT attname FROM pg_stats WHERE histogram_bounds::text LIKE '%zqK%';
-- case: numbers of pg_stats
SELECT attname, avg_width, n_distinct, correlation FROM pg_stats WHERE tablename = 'customers' AND attname = 'email';
-- case: pg_statistic
SELECT stavalues1, stavalues2 FROM pg_statistic WHERE starelid = 'customers'::regclass;
-- case: pg_statistic as a row
SELECT s::text FROM pg_statistic s;
-- case: pg_stats_ext
SELECT most_common_vals FROM pg_stats_ext;
-- case: pg_statistic_ext_data
SELECT stxdmcv FROM pg_statistic_ext_data;
-- case: the items of an MCV list
SELECT m.* FROM pg_statistic_ext_data d, pg_mcv_list_items(d.stxdmcv) m;
-- case: pg_stats_ext_exprs
SELECT * FROM pg_stats_ext_exprs;
-- case: EXPLAIN of a guess
EXPLAIN SELECT id FROM customers WHERE email = 'zqKwyjibo1vault@xKwyjibo.test';
-- case: EXPLAIN of a range
EXPLAIN SELECT id FROM customers WHERE salary < 73519266;
-- case: EXPLAIN of groups
EXPLAIN SELECT count(*) FROM customers GROUP BY email;
-- case: EXPLAIN ANALYZE of a filter
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT id FROM customers WHERE email > 'zqI';
-- case: EXPLAIN ANALYZE of a sort
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT id FROM customers ORDER BY email;
-- case: EXPLAIN VERBOSE
EXPLAIN (VERBOSE, COSTS off) SELECT email FROM customers;
-- case: EXPLAIN in JSON
EXPLAIN (FORMAT json, COSTS off) SELECT upper(email) FROM customers;
-- case: EXPLAIN folds constants
EXPLAIN (VERBOSE, COSTS off) SELECT upper('x') || (SELECT email FROM customers WHERE id = 1);
-- case: EXPLAIN of a write
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) INSERT INTO notes (id, body) SELECT id + 100, email FROM customers;
-- case: pg_stat_statements
SELECT query FROM pg_stat_statements LIMIT 1;
-- case: pg_stat_statements, a condition
SELECT calls FROM pg_stat_statements WHERE query LIKE '%zq%';
-- case: pg_stat_activity
-- differs: other sessions
SELECT query FROM pg_stat_activity WHERE query LIKE '%zq%';
-- case: pg_stat_get_activity
SELECT query FROM pg_stat_get_activity(NULL) WHERE query LIKE '%zq%';
-- case: pg_index expressions
SELECT pg_get_indexdef('customers_lower'::regclass), pg_get_expr(indpred, indrelid) FROM pg_index WHERE indrelid = 'customers'::regclass;
-- case: partition bounds
SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname LIKE 'people%' ORDER BY relname;
-- case: relation sizes
-- differs: sizes follow from the lengths of all values, and are not bound to a column
SELECT pg_relation_size('customers'), pg_total_relation_size('big');
-- case: attribute statistics by column number
SELECT has_column_privilege('customers', 'email', 'SELECT');
-- case: pg_largeobject
SELECT data FROM pg_largeobject;
-- case: pg_authid
SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL;
-- case: pg_shadow
SELECT passwd FROM pg_shadow;
-- case: toast tables
SELECT chunk_data FROM pg_toast.pg_toast_1255;
-- case: foreign server options
SELECT * FROM pg_user_mappings;
-- case: pg_description
SELECT description FROM pg_description WHERE objoid = 'customers'::regclass;
-- case: column defaults
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'customers'::regclass;
-- case: constraint definitions
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'customers'::regclass ORDER BY 1;
-- case: function sources
SELECT prosrc FROM pg_proc WHERE proname = 'no_such';
-- case: system information of a row
SELECT ctid, xmin, tableoid::regclass FROM customers WHERE id = 1;
-- case: rows by place
SELECT email FROM customers WHERE ctid = '(0,1)';
-- case: pg_stat_user_tables
SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname = 'no_such';
