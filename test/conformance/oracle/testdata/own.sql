SELECT 1
----
SELECT 1;
----
;;SELECT 1;;SELECT 2;
----
SELECT ';'; SELECT 'a''; SELECT 2; --'
----
SELECT E'\'; SELECT 2'; SELECT 3
----
SELECT '\'; SELECT 2 --'
----
SELECT $$;$$; SELECT $a$;$$;$a$
----
SELECT 1 /* ; /* ; */ ; */; SELECT 2
----
SELECT 1 -- ;
; SELECT 2
----
SELECT U&'\003b; SELECT 2'; SELECT U&';!003b' UESCAPE '!'
----
SELECT 'a'
'; b'; SELECT 2
----
SELECT B'1'; SELECT X'1F'; SELECT N'x;'
----
SELECT 1 AS a$b
----
CREATE TABLE t (id int PRIMARY KEY, v text)
----
INSERT INTO t VALUES (1, 'a'), (2, 'b') RETURNING id; SELECT count(*) FROM t
----
INSERT INTO t VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET v = excluded.v
----
INSERT INTO t VALUES (1, 'broken')
----
UPDATE t SET v = 'c' WHERE id = 2; DELETE FROM t WHERE id = 9
----
WITH d AS (DELETE FROM t WHERE id = 2 RETURNING *) SELECT * FROM d
----
MERGE INTO t USING (VALUES (3, 'm')) AS s (id, v) ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)
----
BEGIN; INSERT INTO t VALUES (4, 'x'); SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; RELEASE a; COMMIT
----
START TRANSACTION READ ONLY
----
SELECT 1/0
----
SELECT 2
----
ROLLBACK
----
BEGIN ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY; END
----
ABORT
----
EXPLAIN SELECT * FROM t
----
EXPLAIN (ANALYZE, COSTS off) INSERT INTO t VALUES (5, 'explained')
----
PREPARE p (int) AS SELECT v FROM t WHERE id = $1
----
EXECUTE p (1); DEALLOCATE p
----
PREPARE w AS UPDATE t SET v = 'w'
----
EXECUTE w
----
DEALLOCATE ALL
----
BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 1 FROM c; MOVE 1 IN c; CLOSE c; COMMIT
----
SELECT * INTO copied FROM t
----
CREATE TABLE made AS SELECT * FROM t
----
CREATE TEMP TABLE mine (a int)
----
CREATE VIEW seen AS SELECT id FROM t; CREATE MATERIALIZED VIEW kept AS SELECT id FROM t
----
REFRESH MATERIALIZED VIEW kept
----
CREATE SCHEMA s CREATE TABLE inner_t (a int) CREATE VIEW inner_v AS SELECT a FROM inner_t
----
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END
----
CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN PERFORM 1; DELETE FROM t WHERE false; RETURN 1; END $f$
----
CREATE PROCEDURE h() LANGUAGE sql AS 'SELECT 1'
----
SELECT g(), f()
----
CALL h()
----
DO $$ BEGIN PERFORM 1; INSERT INTO t VALUES (6, ';'); END $$
----
CREATE INDEX ON t (v); ANALYZE t; COMMENT ON TABLE t IS 'a;b'
----
VACUUM t
----
TRUNCATE copied; LOCK TABLE t IN SHARE MODE
----
GRANT SELECT ON t TO PUBLIC; REVOKE SELECT ON t FROM PUBLIC
----
ALTER TABLE t ADD COLUMN w int DEFAULT 1
----
ALTER TABLE t RENAME COLUMN w TO x
----
SET work_mem = '8MB'; SHOW work_mem; RESET work_mem
----
SET search_path = s, public
----
SELECT a FROM inner_t
----
SELECT pg_catalog.set_config('search_path', '', false)
----
SELECT count(*) FROM public.t
----
RESET ALL
----
SET application_name = 'mine'; SELECT 1 AS "after;"
----
SET LOCAL TIME ZONE 'UTC'
----
LISTEN news; NOTIFY news, 'a;b'; UNLISTEN *
----
COPY t (id, v) TO STDOUT
----
COPY (SELECT 1 AS ";") TO STDOUT WITH (FORMAT csv, HEADER)
----
SELECT 1 AS é; SELECT '€;'
----
SELECT 1; SELEC 2
----
SELECT * FROM nowhere
----
SELECT nothing_like_it(1)
----
TABLE t; VALUES (1), (2)
----
SELECT (SELECT 1); (SELECT 1) UNION (SELECT 2)
----
DROP VIEW seen; DROP MATERIALIZED VIEW kept
----
DROP TABLE IF EXISTS nowhere
----
DROP FUNCTION f(), g(); DROP PROCEDURE h()
----
DISCARD PLANS
----
DISCARD ALL
----
DROP TABLE t, copied, made; DROP SCHEMA s CASCADE
