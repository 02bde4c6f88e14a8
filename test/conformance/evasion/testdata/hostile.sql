-- What a hostile or careless administrator has added: it is there for the attacks only.

CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pageinspect; CREATE EXTENSION tablefunc; CREATE EXTENSION xml2; CREATE EXTENSION pg_visibility; CREATE EXTENSION pgstattuple; CREATE EXTENSION pgrowlocks; CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION lo;

CREATE VIEW ruled AS SELECT id, body FROM notes;
CREATE RULE ruled_insert AS ON INSERT TO ruled DO INSTEAD INSERT INTO notes (id, body) VALUES (NEW.id, NEW.body) RETURNING id, (SELECT email FROM customers WHERE customers.id = 1);

CREATE FUNCTION leak(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT email FROM public.customers WHERE id = $1';
CREATE FUNCTION leak_immutable(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT email FROM public.customers WHERE id = $1';
CREATE FUNCTION leak_pl(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT email FROM public.customers WHERE id = $1); END $$;
CREATE FUNCTION leak_error(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'it is %', (SELECT email FROM public.customers WHERE id = $1); END $$;
CREATE FUNCTION leak_set() RETURNS SETOF public.customers LANGUAGE sql STABLE AS 'SELECT * FROM public.customers';
CREATE FUNCTION leak_atomic() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT email FROM public.customers WHERE id = 1; END;
CREATE FUNCTION fullname(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name || $1.email';
CREATE FUNCTION leak_check(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT EXISTS (SELECT FROM public.customers WHERE email LIKE $1)';
CREATE FUNCTION note_op(notes, notes) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT email FROM public.customers WHERE id = $1.id';
CREATE OPERATOR === (LEFTARG = notes, RIGHTARG = notes, FUNCTION = note_op);
CREATE FUNCTION note_cast(pair) RETURNS money LANGUAGE sql IMMUTABLE AS 'SELECT salary::money FROM public.customers WHERE id = $1.b';
CREATE CAST (pair AS money) WITH FUNCTION note_cast(pair);
CREATE AGGREGATE leak_agg(int) (SFUNC = int4pl, STYPE = int4, FINALFUNC = leak);
CREATE DOMAIN prober AS text CHECK (leak_check(VALUE));
CREATE PROCEDURE leak_call(INOUT x text) LANGUAGE plpgsql AS $$ BEGIN x := (SELECT email FROM public.customers WHERE id = 1); END $$;
CREATE FUNCTION customers_notice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'was %, is %', OLD.email, NEW; RETURN NEW; END $$;
CREATE TRIGGER customers_notice BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION customers_notice();
CREATE FUNCTION notes_copy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.body = 'ask' THEN NEW.n := 1; RAISE WARNING 'first is %', (SELECT email FROM public.customers WHERE id = 1);
  ELSIF NEW.body = 'fail' THEN RAISE EXCEPTION 'first is %', (SELECT email FROM public.customers WHERE id = 1) USING DETAIL = (SELECT card FROM public.customers WHERE id = 1), HINT = (SELECT email FROM public.customers WHERE id = 2); END IF; RETURN NEW; END $$;
CREATE TRIGGER notes_copy BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION notes_copy();
CREATE VIEW via_function AS SELECT leak(1) AS v;
CREATE VIEW via_xml AS SELECT query_to_xml('select email from customers', true, true, '') AS v;

CREATE SCHEMA vault;
CREATE TABLE vault.keys (id int PRIMARY KEY, secret text); INSERT INTO vault.keys VALUES (1, 'zq{tag}key');
CREATE VIEW vault_view AS SELECT id, secret FROM vault.keys;
CREATE VIEW vault_count AS SELECT count(*) AS n FROM vault.keys;
CREATE FUNCTION vault_read() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT secret FROM vault.keys';
CREATE FUNCTION vault.touch() RETURNS int LANGUAGE sql AS 'INSERT INTO vault.keys VALUES (77, ''touched'') RETURNING id';
CREATE RULE vault_rule AS ON DELETE TO newsletter WHERE OLD.id = 999 DO ALSO DELETE FROM vault.keys;
CREATE SCHEMA shadow; CREATE TABLE shadow.keys (id int, secret text); CREATE TABLE shadow.customers (id int, email text); INSERT INTO shadow.customers VALUES (1, 'shadow');
