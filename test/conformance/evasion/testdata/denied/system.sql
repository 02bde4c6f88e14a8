-- Roles, settings, files, programs, other servers.
-- every case: refused

-- case: SET ROLE
SET ROLE pg_execute_server_program;
-- case: SET ROLE of the transaction
BEGIN;
SET LOCAL ROLE postgres;
-- case: SET SESSION AUTHORIZATION
SET SESSION AUTHORIZATION postgres;
-- case: role by set_config
SELECT set_config('role', 'postgres', false);
-- case: session_authorization by set_config
SELECT set_config('session_authorization', 'postgres', true);
-- case: a setting's name that is computed
SELECT set_config('ro' || 'le', 'postgres', false);
-- case: set_config in FROM
SELECT * FROM set_config('role', 'postgres', false);
-- case: set_config over named arguments
SELECT set_config(setting_name => 'role', new_value => 'postgres', is_local => false);
-- case: set_config by another path
SELECT pg_catalog.set_config('role', 'postgres', false);
-- case: UPDATE of pg_settings
UPDATE pg_settings SET setting = 'postgres' WHERE name = 'role';
-- case: RESET SESSION AUTHORIZATION
RESET SESSION AUTHORIZATION;
-- case: log_statement
SET log_statement = 'none';
-- case: application_name
SET application_name = 'somebody else';
-- case: client_encoding
SET client_encoding = 'SJIS';
-- case: standard_conforming_strings
SET standard_conforming_strings = off;
-- case: backslash_quote
SET session_preload_libraries = 'auto_explain';
-- case: ALTER SYSTEM
ALTER SYSTEM SET log_statement = 'none';
-- case: ALTER ROLE
ALTER ROLE postgres SET log_statement = 'none';
-- case: ALTER DATABASE
ALTER DATABASE shop SET search_path = vault;
-- case: CREATE ROLE
CREATE ROLE intruder SUPERUSER LOGIN PASSWORD 'x';
-- case: ALTER ROLE ... PASSWORD
ALTER ROLE postgres PASSWORD 'x';
-- case: GRANT a role
GRANT pg_read_server_files TO postgres;
-- case: CREATE USER MAPPING
CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;
-- case: COPY TO PROGRAM
COPY notes TO PROGRAM 'touch {stolen}';
-- case: COPY FROM PROGRAM
COPY notes FROM PROGRAM 'touch {stolen}';
-- case: COPY TO a file
COPY notes TO '{stolen}';
-- case: COPY FROM a file
COPY notes (body) FROM '/etc/passwd';
-- case: COPY of a query TO PROGRAM
COPY (SELECT 1) TO PROGRAM 'touch {stolen}';
-- case: lo_export
SELECT lo_export(1, '{stolen}');
-- case: lo_import
SELECT lo_import('/etc/passwd');
-- case: lo_create
SELECT lo_create(4711);
-- case: lo_from_bytea
SELECT lo_from_bytea(4711, 'x');
-- case: pg_read_file
SELECT pg_read_file('/etc/passwd');
-- case: pg_read_file in FROM
SELECT * FROM pg_read_file('postgresql.conf') f;
-- case: pg_read_binary_file
SELECT pg_read_binary_file('postgresql.conf');
-- case: pg_ls_dir
SELECT pg_ls_dir('/');
-- case: pg_stat_file
SELECT pg_stat_file('postgresql.conf');
-- case: pg_terminate_backend
SELECT pg_terminate_backend(pid) FROM pg_stat_activity;
-- case: pg_cancel_backend
SELECT pg_cancel_backend(1);
-- case: pg_reload_conf
SELECT pg_reload_conf();
-- case: pg_rotate_logfile
SELECT pg_rotate_logfile();
-- case: pg_promote
SELECT pg_promote();
-- case: pg_switch_wal
SELECT pg_switch_wal();
-- case: pg_create_restore_point
SELECT pg_create_restore_point('x');
-- case: pg_create_logical_replication_slot
SELECT pg_create_logical_replication_slot('mine', 'test_decoding');
-- case: pg_drop_replication_slot
SELECT pg_drop_replication_slot('spy');
-- case: pg_logical_slot_get_changes
SELECT * FROM pg_logical_slot_get_changes('spy', NULL, NULL);
-- case: pg_logical_emit_message
SELECT pg_logical_emit_message(false, 'a', 'b');
-- case: pg_export_snapshot
SELECT pg_export_snapshot();
-- case: pg_advisory_lock
SELECT pg_advisory_lock(1);
-- case: pg_notify
SELECT pg_notify('vault', 'x');
-- case: pg_stat_reset
SELECT pg_stat_reset();
-- case: dblink
SELECT dblink_exec('dbname=shop', 'DROP TABLE vault.keys');
-- case: dblink in FROM
SELECT * FROM dblink('dbname=shop', 'DELETE FROM vault.keys RETURNING 1') AS t (x int);
-- case: CREATE EXTENSION
CREATE EXTENSION tcn;
-- case: LOAD
LOAD 'auto_explain';
-- case: CREATE FUNCTION
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
-- case: CREATE FUNCTION in C
CREATE FUNCTION public.system(cstring) RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'system';
-- case: CREATE TRIGGER
CREATE TRIGGER t BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION notes_copy();
-- case: CREATE EVENT TRIGGER
CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION notes_copy();
-- case: CREATE RULE
CREATE RULE r AS ON INSERT TO notes DO ALSO DELETE FROM vault.keys;
-- case: CREATE POLICY
CREATE POLICY p ON notes USING (true);
-- case: CREATE SCHEMA
CREATE SCHEMA mine;
-- case: CREATE SCHEMA with what is in it
CREATE SCHEMA mine CREATE TABLE t (id int) GRANT SELECT ON t TO PUBLIC;
-- case: CREATE DATABASE
CREATE DATABASE stolen;
-- case: CREATE TABLESPACE
CREATE TABLESPACE mine LOCATION '/tmp';
-- case: CREATE PUBLICATION
CREATE PUBLICATION mine FOR ALL TABLES;
-- case: CREATE SUBSCRIPTION
CREATE SUBSCRIPTION mine CONNECTION 'host=elsewhere' PUBLICATION x WITH (connect = false);
-- case: CREATE LANGUAGE
CREATE LANGUAGE plpgsql2 HANDLER plpgsql_call_handler;
-- case: CREATE CAST
CREATE CAST (text AS int) WITH INOUT AS IMPLICIT;
-- case: CREATE OPERATOR
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
-- case: DROP
DROP TABLE notes;
-- case: DROP OWNED
DROP OWNED BY postgres;
-- case: REASSIGN OWNED
REASSIGN OWNED BY postgres TO pg_monitor;
-- case: DROP SCHEMA CASCADE
DROP SCHEMA vault CASCADE;
-- case: ALTER TABLE
ALTER TABLE notes ADD COLUMN x int;
-- case: ALTER FUNCTION
ALTER FUNCTION leak(int) SECURITY INVOKER;
-- case: CALL
CALL leak_call(NULL);
-- case: DO
DO $$ BEGIN EXECUTE 'DROP TABLE vault.keys'; END $$;
-- case: DO in another dollar quote
DO LANGUAGE plpgsql $x$ BEGIN PERFORM pg_sleep(0); END $x$;
-- case: SECURITY LABEL
SECURITY LABEL ON TABLE notes IS 'x';
-- case: CHECKPOINT
CHECKPOINT;
-- case: IMPORT FOREIGN SCHEMA
IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public;
-- case: a functional index
CREATE INDEX ON notes (leak_immutable(id));
-- case: replication
IDENTIFY_SYSTEM;
-- case: replication started
START_REPLICATION SLOT spy LOGICAL 0/0;
