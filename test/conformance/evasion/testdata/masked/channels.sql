-- Ways for a value to go somewhere else: time, sequences, locks, notifications, large objects, files.
-- every case: refused

-- case: sleep for a masked time
SELECT pg_sleep(salary % 2) FROM customers;
-- case: sleep on a condition
SELECT CASE WHEN email > 'zqI' THEN pg_sleep(0.1) END FROM customers;
-- case: sleep in a subquery
SELECT coalesce(email, (SELECT pg_sleep(0.1)::text)) FROM customers;
-- case: sleep behind AND
SELECT email > 'zqI' AND pg_sleep(0.1)::text = '' FROM customers;
-- case: much work on a condition
SELECT CASE WHEN email > 'zqI' THEN (SELECT count(*) FROM generate_series(1, 100000)) END FROM customers;
-- case: a sequence set
SELECT setval('counter', salary) FROM customers WHERE id = 1;
-- case: a sequence moved on a condition
SELECT CASE WHEN email > 'zqI' THEN nextval('counter') END FROM customers;
-- case: an advisory lock
SELECT pg_advisory_lock(salary) FROM customers WHERE id = 1;
-- case: an advisory lock on a condition
SELECT pg_try_advisory_lock(1) FROM customers WHERE id = 1 AND email > 'zqI';
-- case: a notification
SELECT pg_notify('x', email) FROM customers;
-- case: a large object
SELECT lo_from_bytea(0, email::bytea) FROM customers;
-- case: a large object written
SELECT lo_put(1, 0, picture) FROM customers;
-- case: a large object read
SELECT lo_get(1);
-- case: a file imported
SELECT lo_import('/etc/passwd');
-- case: a file exported
SELECT lo_export(1, '{stolen}');
-- case: a file read
SELECT pg_read_file('postgresql.conf');
-- case: a binary file read
SELECT pg_read_binary_file('global/pg_control');
-- case: folders listed
SELECT pg_ls_dir('.');
-- case: data files read
SELECT pg_read_binary_file(pg_relation_filepath('customers'));
-- case: logs listed
SELECT * FROM pg_ls_logdir();
-- case: a logical message
SELECT pg_logical_emit_message(false, 'x', email) FROM customers;
-- case: changes of a slot
SELECT data FROM pg_logical_slot_peek_changes('spy', NULL, NULL);
-- case: changes of a slot, taken
SELECT data FROM pg_logical_slot_get_changes('spy', NULL, NULL);
-- case: changes of a slot in binary
SELECT data FROM pg_logical_slot_peek_binary_changes('spy', NULL, NULL);
-- case: a slot made
SELECT pg_create_logical_replication_slot('mine', 'test_decoding');
-- case: a snapshot exported
SELECT pg_export_snapshot();
-- case: a backend ended on a condition
SELECT pg_terminate_backend(CASE WHEN email > 'zqI' THEN pg_backend_pid() ELSE 0 END) FROM customers;
-- case: a configuration reloaded
SELECT pg_reload_conf();
-- case: statistics reset
SELECT pg_stat_reset();
-- case: dblink as a channel
SELECT dblink('dbname=shop', 'INSERT INTO notes (id, body) VALUES (500, ''' || email || ''')') FROM customers;
-- case: ts_stat
SELECT * FROM ts_stat('SELECT to_tsvector(email) FROM customers');
-- case: ts_rewrite
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, email::tsquery FROM customers');
-- case: adminpack-like writes
SELECT pg_file_write('x', email, false) FROM customers;
-- case: currtid
SELECT currtid2('customers', '(0,1)');
-- case: COPY to a file
COPY (SELECT salary FROM customers) TO '{stolen}';
-- case: log messages
SELECT pg_log_backend_memory_contexts(pg_backend_pid());
-- case: parallel workers by a hint
SELECT pg_prewarm('customers');
-- case: a temporary sequence by a masked value
CREATE TEMP SEQUENCE s START WITH (SELECT salary FROM customers);
-- case: a comment out of a masked value
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE public.notes IS %L', (SELECT email FROM public.customers LIMIT 1)); END $$;
