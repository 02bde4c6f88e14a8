-- What a database may hold that pg_dump must ask for: every kind of object.
CREATE SCHEMA app;
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE app.pair AS (a int, b text);
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE app.numbers INCREMENT 5 START 100;
CREATE COLLATION app.plain (provider = libc, locale = 'C');
CREATE TABLE app.people (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL COLLATE app.plain,
    mood app.mood DEFAULT 'ok',
    score app.positive,
    paired app.pair,
    tags text[],
    extra jsonb,
    photo bytea,
    seen timestamptz,
    attributes hstore,
    doubled int GENERATED ALWAYS AS (score * 2) STORED,
    UNIQUE (name),
    CHECK (length(name) > 0)
);
CREATE TABLE app.orders (id int PRIMARY KEY DEFAULT nextval('app.numbers'), person int REFERENCES app.people ON DELETE CASCADE, total numeric(12, 2), at date);
CREATE INDEX orders_at ON app.orders (at DESC) WHERE total > 0;
CREATE INDEX people_lower ON app.people (lower(name));
CREATE TABLE app.events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE app.events_2025 PARTITION OF app.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.events_2026 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE app.parent (a int);
CREATE TABLE app.child (b int) INHERITS (app.parent);
CREATE UNLOGGED TABLE app.scratch (a int);
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := coalesce(NEW.seen, '2026-01-01'); RETURN NEW; END $$;
CREATE FUNCTION app.total(who int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(total) FROM app.orders WHERE person = who';
CREATE FUNCTION app.one() RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT 1; END;
CREATE PROCEDURE app.clean() LANGUAGE sql AS 'DELETE FROM app.scratch';
CREATE AGGREGATE app.product(int) (sfunc = int4mul, stype = int, initcond = '1');
CREATE OPERATOR app.=== (leftarg = int, rightarg = int, function = int4eq);
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON app.people FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE VIEW app.happy AS SELECT id, name FROM app.people WHERE mood = 'happy' WITH CHECK OPTION;
CREATE MATERIALIZED VIEW app.totals AS SELECT person, sum(total) AS total FROM app.orders GROUP BY person WITH NO DATA;
CREATE RULE no_delete AS ON DELETE TO app.scratch DO INSTEAD NOTHING;
CREATE STATISTICS app.stats ON person, at FROM app.orders;
CREATE TEXT SEARCH CONFIGURATION app.search (COPY = simple);
CREATE PUBLICATION everything FOR TABLE app.orders;
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON app.orders USING (total < 1000);
COMMENT ON TABLE app.people IS 'people; with ''quotes'' -- and more';
COMMENT ON COLUMN app.people.mood IS E'line\nbreak';
GRANT SELECT ON app.people TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;
INSERT INTO app.people (name, mood, score, paired, tags, extra, photo, attributes)
SELECT 'name ' || i || E' \t\\ \' " ä€😀', (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::app.mood, i, ROW(i, 'b' || i)::app.pair, ARRAY['x', NULL, i::text],
       jsonb_build_object('i', i, 'n', NULL), decode(md5(i::text), 'hex'), hstore('k', i::text)
FROM generate_series(1, 2000) AS i;
INSERT INTO app.orders (person, total, at) SELECT 1 + i % 2000, i * 1.5, date '2026-01-01' + i % 300 FROM generate_series(1, 5000) AS i;
INSERT INTO app.events SELECT date '2025-06-01' + i % 500, 'event ' || i FROM generate_series(1, 3000) AS i;
INSERT INTO app.child VALUES (1, 2), (3, NULL);
REFRESH MATERIALIZED VIEW app.totals;
SELECT lo_from_bytea(70001, convert_to('a large object', 'UTF8'));
COMMENT ON LARGE OBJECT 70001 IS 'kept too';
