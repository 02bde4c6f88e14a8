// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// canary is in every masked value of the real tables.
const canary = "canary"

const canaryRows = `
INSERT INTO customers (id, name, email, card, phone) SELECT g, 'n' || g, 'canary' || g || '@x', 'canary' || g, 'canary' || g FROM generate_series(1, 3) g;
INSERT INTO orders SELECT g, g, 10 * g, 'open', '2026-01-02' FROM generate_series(1, 3) g;
INSERT INTO newsletter SELECT g, 'public' || g, 't' FROM generate_series(1, 3) g;
INSERT INTO notes SELECT g, 'b' || g FROM generate_series(1, 3) g;
INSERT INTO people SELECT g, 'canary' || g, 'eu' FROM generate_series(1, 3) g;
`

// evasions try to get at customers.email and the like (checklist 18). Each is
// refused.
var evasions = []string{
	"SELECT lower(email) FROM customers",
	"SELECT email::varchar FROM customers",
	"SELECT email || '' FROM customers",
	"SELECT CAST(email AS text) FROM customers",
	"SELECT (email) || name FROM customers",
	"SELECT substring(email from 1 for 1) FROM customers",
	"SELECT max(email) FROM customers",
	"SELECT array_agg(email) FROM customers",
	"SELECT string_agg(c.email, ',') FROM customers c",
	"SELECT count(DISTINCT email) FROM customers",
	"SELECT row_number() OVER (ORDER BY email), id FROM customers",
	"SELECT first_value(email) OVER () FROM customers",
	"SELECT CASE WHEN email LIKE 'a%' THEN 1 END FROM customers",
	"SELECT coalesce(email, '') FROM customers",
	"SELECT ARRAY[email] FROM customers",
	"SELECT ROW(email) FROM customers",
	"SELECT (email, id) FROM customers",
	"SELECT customers FROM customers",
	"SELECT c FROM customers c",
	"SELECT c::text FROM customers c",
	"SELECT (c).email FROM customers c",
	"SELECT (c.*).email FROM customers c",
	"SELECT c.*::text FROM customers c",
	"SELECT row_to_json(c) FROM customers c",
	"SELECT row_to_json(c.*) FROM customers c",
	"SELECT to_jsonb(customers) FROM customers",
	"SELECT json_agg(c) FROM customers c",
	"SELECT c.row_to_json FROM customers c",
	"SELECT c.to_jsonb FROM customers c",
	"SELECT email(c) FROM customers c",
	"SELECT customers.fullname FROM customers",
	"SELECT hstore(c) FROM customers c",
	"SELECT md5(c::text) FROM customers c",
	"SELECT format('%s', c) FROM customers c",
	"SELECT concat(c) FROM customers c",
	"SELECT count(c) FROM customers c",
	"SELECT id FROM customers WHERE email LIKE 'c%'",
	"SELECT id FROM customers WHERE customers.email = 'x'",
	"SELECT id FROM customers WHERE public.customers.email = 'x'",
	"SELECT id FROM customers ORDER BY email",
	"SELECT id, email FROM customers ORDER BY 2",
	"SELECT id, email FROM customers ORDER BY (2)",
	"SELECT * FROM customers ORDER BY 3",
	"SELECT email AS e FROM customers ORDER BY e",
	"SELECT email AS id FROM customers ORDER BY id",
	"SELECT count(*) FROM customers GROUP BY email",
	"SELECT count(*), email FROM customers GROUP BY 2",
	"SELECT count(*), email AS g FROM customers GROUP BY g",
	"SELECT count(*), email FROM customers GROUP BY ROLLUP (2)",
	"SELECT count(*) FROM customers GROUP BY left(email, 1)",
	"SELECT count(*) FROM customers HAVING max(email) > 'b'",
	"SELECT DISTINCT email FROM customers",
	"SELECT DISTINCT * FROM customers",
	"SELECT DISTINCT ON (email) id FROM customers",
	"SELECT DISTINCT ON (2) id, email FROM customers",
	"SELECT id FROM customers LIMIT (SELECT length(email) FROM customers LIMIT 1)",
	"SELECT * FROM (SELECT * FROM customers) x",
	"SELECT * FROM (SELECT email FROM customers) x",
	"SELECT x.a FROM (SELECT email AS a FROM customers) x",
	"SELECT x.a FROM (SELECT email FROM customers) x(a)",
	"SELECT a FROM (TABLE customers) x(i, n, a)",
	"SELECT (SELECT email FROM customers LIMIT 1)",
	"SELECT ARRAY(SELECT email FROM customers)",
	"SELECT 1 FROM orders WHERE 'x' IN (SELECT email FROM customers)",
	"SELECT EXISTS (SELECT 1 FROM customers WHERE email > 'b')",
	"WITH x AS (SELECT * FROM customers) SELECT * FROM x",
	"WITH x AS (SELECT email FROM customers) SELECT email FROM x",
	"WITH x(a) AS (TABLE customers) SELECT a FROM x",
	"WITH RECURSIVE x AS (SELECT email FROM customers UNION SELECT email FROM x) TABLE x",
	"SELECT email FROM customers UNION ALL SELECT 'x'",
	"SELECT name FROM customers UNION SELECT email FROM customers",
	"SELECT * FROM customers EXCEPT SELECT * FROM customers WHERE false",
	"TABLE customers INTERSECT TABLE customers",
	"VALUES ((SELECT email FROM customers LIMIT 1))",
	"SELECT v.* FROM customers c, LATERAL (VALUES (c.email)) v",
	"SELECT l.* FROM customers c, LATERAL (SELECT c.*) l",
	"SELECT l.* FROM customers c CROSS JOIN LATERAL (SELECT c.email AS x) l",
	"SELECT f FROM customers c, LATERAL unnest(ARRAY[c.email]) f",
	"SELECT f FROM customers c, regexp_split_to_table(email, '') f",
	"SELECT j.value FROM customers c, json_each(to_json(c)) j",
	"SELECT r.* FROM customers c, ROWS FROM (unnest(ARRAY[c.card])) r",
	"SELECT c.a FROM customers AS c(i, n, a)",
	"SELECT * FROM customers AS c(i, n, a)",
	"SELECT j.email FROM (customers c JOIN orders o ON true) AS j",
	"SELECT j.* FROM (customers c JOIN orders o ON true) AS j",
	"SELECT j FROM (customers c JOIN orders o ON true) AS j",
	"SELECT * FROM customers NATURAL JOIN newsletter",
	"SELECT n.id FROM customers JOIN newsletter n USING (email)",
	"SELECT u.email FROM customers JOIN newsletter n USING (email) AS u",
	"SELECT o.id FROM customers c JOIN newsletter o ON o.email = c.email",
	"SELECT n.id FROM newsletter n WHERE n.email IN (SELECT c.email FROM customers c)",
	"SELECT (SELECT c.email) FROM customers c",
	"SELECT (SELECT email) FROM customers",
	"SELECT (SELECT (SELECT c.email)) FROM customers c",
	"SELECT 1 FROM customers c WHERE EXISTS (SELECT 1 FROM newsletter c, (SELECT c.email) x)",
	"SELECT * FROM contact",
	"SELECT address FROM contact",
	"SELECT * FROM contact2",
	"SELECT * FROM contact_m",
	"SELECT id FROM contact",
	"SELECT * FROM via_function",
	"SELECT * FROM via_xml",
	"SELECT leak(1)",
	"SELECT email_lower || '' FROM customers",
	"SELECT id FROM customers WHERE email_lower = 'x'",
	"SELECT query_to_xml('select email from customers', true, true, '')",
	"SELECT table_to_xml('customers', true, true, '')",
	"SELECT * FROM ts_stat('select to_tsvector(email) from customers')",
	"SELECT * FROM pg_stats WHERE tablename = 'customers'",
	"SELECT most_common_vals FROM pg_catalog.pg_stats",
	"SELECT stavalues1 FROM pg_statistic",
	"SELECT query FROM pg_stat_activity",
	"COPY customers TO STDOUT",
	"COPY customers (id, email) TO STDOUT",
	"COPY (SELECT email FROM customers) TO STDOUT",
	"COPY (SELECT * FROM customers) TO STDOUT",
	"CREATE TABLE x AS SELECT * FROM customers",
	"CREATE TEMP TABLE x AS TABLE customers",
	"SELECT * INTO x FROM customers",
	"SELECT email INTO TEMP x FROM customers",
	"CREATE VIEW x AS SELECT email FROM customers",
	"CREATE TEMP VIEW x AS SELECT id FROM customers",
	"CREATE MATERIALIZED VIEW x AS SELECT * FROM customers",
	"INSERT INTO notes SELECT id, email FROM customers",
	"INSERT INTO notes (id, body) VALUES (9, (SELECT email FROM customers LIMIT 1))",
	"INSERT INTO customers (id, name) VALUES (9, 'x') RETURNING *",
	"INSERT INTO customers (id, name) VALUES (9, 'x') RETURNING email",
	"INSERT INTO customers (id, name, email) VALUES (9, 'x', 'y') ON CONFLICT (email) DO NOTHING",
	"INSERT INTO customers (id, name, email) VALUES (9, 'x', 'y') ON CONFLICT DO NOTHING",
	"INSERT INTO customers (id, name, email) VALUES (9, 'x', 'y') ON CONFLICT ON CONSTRAINT customers_email_key DO NOTHING",
	"INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = customers.email",
	"INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' WHERE customers.email > 'b'",
	"UPDATE customers SET name = email",
	"UPDATE customers SET (name, email) = (email, name) WHERE id = 1",
	"UPDATE customers SET name = 'x' WHERE email LIKE 'a%'",
	"UPDATE customers SET name = 'x' WHERE id = 1 RETURNING email",
	"UPDATE customers SET name = 'x' WHERE id = 1 RETURNING *",
	"UPDATE customers SET name = 'x' WHERE id = 1 RETURNING customers",
	"UPDATE notes SET body = c.email FROM customers c WHERE c.id = notes.id",
	"UPDATE notes SET body = c::text FROM customers c WHERE c.id = notes.id",
	"UPDATE notes SET (id, body) = (SELECT c.id, c.email FROM customers c WHERE c.id = notes.id)",
	"DELETE FROM customers WHERE email LIKE 'a%'",
	"DELETE FROM customers WHERE id = 1 RETURNING *",
	"DELETE FROM notes USING customers c WHERE c.email > 'b'",
	"MERGE INTO notes n USING customers c ON n.id = c.id WHEN MATCHED THEN UPDATE SET body = c.email",
	"MERGE INTO notes n USING customers c ON n.body = c.email WHEN MATCHED THEN DELETE",
	"DECLARE x CURSOR FOR SELECT email FROM customers",
	"DECLARE x CURSOR WITH HOLD FOR SELECT * FROM customers",
	"PREPARE p AS SELECT lower(email) FROM customers",
	"EXPLAIN ANALYZE SELECT id FROM customers WHERE email > 'b'",
	"CREATE INDEX ON customers (left(email, 1))",
	"CREATE UNIQUE INDEX ON customers (email)",
	"CREATE FUNCTION g() RETURNS text LANGUAGE sql AS 'select 1'",
	"CREATE FUNCTION g() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT email FROM customers; END",
	"CREATE TRIGGER x AFTER UPDATE ON customers EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	"CREATE RULE x AS ON UPDATE TO customers DO ALSO SELECT * FROM customers",
	"ALTER TABLE customers RENAME COLUMN email TO e",
	"ALTER TABLE customers RENAME TO c2",
	"ALTER TABLE customers SET SCHEMA other",
	"ALTER TABLE customers ADD COLUMN e2 text GENERATED ALWAYS AS (email) STORED",
	"ALTER TABLE customers ALTER COLUMN name TYPE text USING email",
	"ALTER SCHEMA public RENAME TO p2",
	"CREATE TABLE y () INHERITS (customers)",
	"DO $$ BEGIN END $$",
	"CALL tidy(1)",
	"SELECT U&\"\\0065mail\" || '' FROM customers",
	"SELECT \"email\" || '' FROM customers",
	"SELECT EMAIL || '' FROM customers",
	"SELECT/**/email/**/||''FROM/**/customers",
	"SELECT email || '' FROM ONLY customers",
	"SELECT email || '' FROM customers TABLESAMPLE system (100)",
	"SELECT xmlforest(email) FROM customers",
	"SELECT xmlelement(name x, email) FROM customers",
	"SELECT json_object('a' VALUE email) FROM customers",
	"SELECT count(*) FROM customers NATURAL JOIN newsletter",
	"SELECT 1 FROM newsletter NATURAL LEFT JOIN customers",
	"SELECT 1 WHERE EXISTS (SELECT FROM newsletter NATURAL JOIN customers)",
	"SELECT (SELECT c FROM customers c LIMIT 1)",
	"SELECT x.c FROM (SELECT c FROM customers c) x",
	"SELECT DISTINCT ON (c) id FROM customers c",
	"SELECT id FROM customers c ORDER BY c",
	"SELECT id FROM customers c GROUP BY c, id",
	"SELECT count(*) FROM customers c GROUP BY c.*",
	"SELECT customers.customers FROM customers",
	"SELECT public.customers.customers FROM customers",
	"(SELECT lower(email) FROM customers)",
	"(SELECT email FROM customers) ORDER BY 1",
	"(TABLE customers) UNION ALL (TABLE customers)",
	"SELECT * FROM customers JOIN newsletter USING (email)",
	"WITH RECURSIVE t AS (SELECT id FROM customers UNION SELECT id FROM t) SEARCH DEPTH FIRST BY email SET o SELECT * FROM t",
	"SELECT email FROM via_function, customers",
	"SELECT * FROM pg_prepared_statements",
	"EXPLAIN SELECT id FROM customers WHERE email = 'a'",
	"SELECT length(c.row_to_json::text) FROM customers c",
	"SELECT id FROM customers c WHERE c.to_jsonb::text LIKE '%a%'",
	"SELECT email[1] FROM customers",
	"SELECT c.email[1] FROM customers c",
	"SELECT c.email[1:2] AS email FROM customers c",
	"SELECT (ARRAY['a'])[length(c.email)] FROM customers c",
	"SELECT n.body[length(c.email)] FROM customers c, notes n",
	"SELECT nullif(email, '') FROM customers",
	"SELECT greatest(email, '') FROM customers",
	"SELECT email IS NULL FROM customers",
	"SELECT email BETWEEN 'a' AND 'b' FROM customers",
	"SELECT email COLLATE \"C\" FROM customers",
	"SELECT email AT TIME ZONE 'UTC' FROM customers",
	"SELECT id FROM customers WINDOW w AS (ORDER BY email)",
	"SELECT id FROM customers FETCH FIRST (SELECT length(email) FROM customers LIMIT 1) ROWS ONLY",
	"SELECT p.email || '' FROM people p",
	"SELECT email || '' FROM people_eu",
	"SELECT lower(email) FROM people_eu",
	"SELECT id FROM people_eu WHERE email = 'x'",
	"SELECT * FROM (SELECT * FROM people_eu) x",
	"WITH d AS (DELETE FROM customers WHERE id = 99 RETURNING *) SELECT * FROM d",
	"WITH u AS (UPDATE customers SET name = 'z' WHERE id = 99 RETURNING email) SELECT email FROM u",
	"SELECT id FROM customers c WHERE c = (SELECT c)",
	"SELECT id FROM customers c WHERE c.* IS NOT NULL",
	"SELECT id FROM customers WHERE (id, email) = (1, 'x')",
	"SELECT id FROM customers WHERE (id, email) IN ((1, 'x'))",
	"SELECT id FROM customers WHERE 'x' = ANY (ARRAY[email])",
}

// honest are queries of analysts that must run, with masks where needed.
var honest = []string{
	"SELECT * FROM customers",
	"SELECT email FROM customers",
	"SELECT c.email FROM customers c",
	"SELECT public.customers.email FROM public.customers",
	"SELECT id, name, email, card FROM customers ORDER BY id",
	"SELECT id, email FROM customers ORDER BY 1",
	"SELECT * FROM customers ORDER BY 1 LIMIT 2 OFFSET 1",
	"SELECT * FROM customers ORDER BY id DESC, name",
	"SELECT id AS email2, name FROM customers",
	"SELECT email AS contact FROM customers",
	"SELECT email contact FROM customers",
	"SELECT email AS email FROM customers",
	"TABLE customers",
	"SELECT count(*) FROM customers",
	"SELECT count(id), max(id) FROM customers",
	"SELECT upper(name) FROM customers WHERE name LIKE 'n%'",
	"SELECT name, count(*) FROM customers GROUP BY name",
	"SELECT name, count(*) FROM customers GROUP BY 1 ORDER BY 2",
	"SELECT DISTINCT name FROM customers",
	"SELECT c.email, o.total FROM customers c JOIN orders o ON o.customer_id = c.id",
	"SELECT c.*, o.* FROM customers c JOIN orders o ON o.customer_id = c.id",
	"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id",
	"SELECT * FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE c.id > 1",
	"SELECT c.id, c.email, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id",
	"SELECT id, email FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 10)",
	"SELECT c.id, c.email FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
	"SELECT o.id, (SELECT c.name FROM customers c WHERE c.id = o.customer_id) FROM orders o",
	"WITH big AS (SELECT customer_id FROM orders WHERE total > 10) SELECT c.name, c.email FROM customers c JOIN big b ON b.customer_id = c.id",
	"WITH x AS (SELECT id, name FROM customers) SELECT * FROM x",
	"SELECT x.id FROM (SELECT id, name FROM customers) x",
	"SELECT n.email FROM newsletter n JOIN customers c ON c.id = n.id",
	"SELECT lower(n.email), c.name FROM newsletter n JOIN customers c ON c.id = n.id",
	"SELECT n.topic FROM newsletter n JOIN customers c ON c.id = n.id WHERE n.email LIKE 'p%' ORDER BY n.email",
	"SELECT lower(email) FROM newsletter",
	"SELECT * FROM newsletter ORDER BY email",
	"SELECT * FROM orders",
	"SELECT status, sum(total) FROM orders GROUP BY status HAVING sum(total) > 0",
	"SELECT * FROM open_orders",
	"SELECT row_to_json(o) FROM orders o",
	"SELECT id, row_number() OVER (ORDER BY id) FROM customers",
	"SELECT email, rank() OVER (PARTITION BY name ORDER BY id) FROM customers",
	"SELECT id FROM customers UNION SELECT id FROM orders",
	"EXPLAIN SELECT * FROM customers",
	"EXPLAIN ANALYZE SELECT email FROM customers WHERE id = 1",
	"PREPARE p1 AS SELECT email FROM customers WHERE id = $1",
	"DECLARE k CURSOR WITH HOLD FOR SELECT id FROM orders",
	"COPY orders TO STDOUT",
	"COPY (SELECT id, total FROM orders) TO STDOUT",
	"INSERT INTO customers (id, name, email) VALUES (50, 'x', 'own')",
	"INSERT INTO customers (id, name, email) VALUES (51, 'x', 'own2') RETURNING id",
	"INSERT INTO customers (id, name, email) VALUES (50, 'x', 'own3') ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email",
	"UPDATE customers SET name = 'y' WHERE id = 50",
	"UPDATE customers SET email = 'canary-own' WHERE id = 50",
	"DELETE FROM customers WHERE id >= 50",
	"SELECT id, customer_id FROM customers JOIN orders USING (id)",
	"SELECT c.email, o.id FROM customers c JOIN orders o USING (id)",
	"SELECT * FROM people",
	"SELECT email FROM people_eu",
	"SELECT id, region FROM people WHERE region = 'eu'",
	"SELECT tableoid, ctid, email FROM customers",
	"SELECT email FROM customers FOR UPDATE",
	"SELECT email FROM customers TABLESAMPLE bernoulli (100)",
	"SELECT c.relname, n.nspname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE pg_catalog.pg_table_is_visible(c.oid)",
	"SELECT table_name FROM information_schema.tables",
	"SELECT * FROM pg_tables",
	"SELECT count(*) FROM (SELECT 1 FROM customers) x",
	"SELECT now(), current_user, version()",
	"SHOW server_version",
	"BEGIN", "COMMIT",
	"CREATE TEMP TABLE scratch (id int, email text)",
	"VALUES (1, 'a'), (2, 'b')",
	"SELECT c.email, l.total FROM customers c, LATERAL (SELECT o.total FROM orders o WHERE o.customer_id = c.id) l",
	"SELECT email_lower FROM customers",
	"SELECT * FROM customers JOIN orders USING (id)",
	"SELECT * FROM customers LEFT JOIN orders USING (id)",
	"SELECT * FROM orders RIGHT JOIN customers USING (id)",
	"SELECT * FROM customers FULL JOIN orders USING (id)",
	"SELECT customers.email FROM customers FULL JOIN orders USING (id)",
	"SELECT c.*, n.email FROM customers c LEFT JOIN newsletter n ON n.id = c.id",
	"SELECT email, card FROM customers GROUP BY id",
	"SELECT c.email, sum(o.total) OVER w FROM customers c JOIN orders o ON o.id = c.id WINDOW w AS (ORDER BY o.id)",
	"SELECT email FROM ONLY customers FOR NO KEY UPDATE SKIP LOCKED",
	"SELECT email FROM customers union_alias",
	"(SELECT email FROM customers)",
	"((SELECT id, email FROM customers) ORDER BY id LIMIT 1)",
	"SELECT c.email, g FROM customers c, generate_series(1, 2) g",
	"SELECT c.email, x.total FROM customers c LEFT JOIN LATERAL (SELECT total FROM orders o WHERE o.customer_id = c.id) x ON true",
	"SELECT c.email, d.email FROM customers c JOIN customers d ON d.id = c.id",
	"SELECT p.*, e.* FROM people p JOIN people_eu e ON e.id = p.id",
	"WITH n AS (SELECT c.email FROM newsletter c) SELECT c.id, n.email FROM customers c, n",
	"WITH x(email) AS (SELECT name FROM customers) SELECT email FROM x",
	"WITH d AS (DELETE FROM notes WHERE id = 3 RETURNING id) SELECT c.email FROM customers c JOIN d ON d.id = c.id",
	"SELECT email AS a, card AS b, phone FROM customers WHERE id BETWEEN 1 AND 2 ORDER BY name LIMIT 1",
}

func maskSet(tb testing.TB) *sql.MaskSet { return sql.NewMaskSet(shopCatalog(tb), masks(tb)) }

func TestChecklist18Evasions(t *testing.T) {
	t.Parallel()
	if len(evasions) < 80 {
		t.Fatalf("only %d evasions", len(evasions))
	}
	m := maskSet(t)
	for _, text := range evasions {
		s, err := one(t, text, options())
		if err != nil {
			var refusal *sql.Error
			if !errors.As(err, &refusal) {
				t.Errorf("%q: error is no refusal: %v", text, err)
			}
			continue
		}
		err = s.CheckMaskSet(m)
		var refusal *sql.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%q: got %v, want a refusal", text, err)
			continue
		}
		if refusal.Hint == "" || refusal.SQLSTATE != sql.StateInsufficientPrivilege {
			t.Errorf("%q: refusal without remedy or with another state: %+v", text, refusal)
		}
		if strings.Contains(text, "customers") && s.CheckMasks(nil) != nil {
			t.Errorf("%q: refused without any mask", text)
		}
	}
}

func TestHonestQueriesRunUnderMasks(t *testing.T) {
	t.Parallel()
	if len(honest) < 40 {
		t.Fatalf("only %d honest queries", len(honest))
	}
	m := maskSet(t)
	for _, text := range honest {
		s, err := one(t, text, options())
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if err := s.CheckMaskSet(m); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAcceptedStatementsShowNoMaskedValue runs what is accepted on the real
// server, masks by the origin it reports, and looks for values that must not
// be seen.
func TestAcceptedStatementsShowNoMaskedValue(t *testing.T) {
	m := maskSet(t)
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unmasked := 0
	for _, text := range append(append([]string{}, honest...), evasions...) {
		s, err := one(t, text, options())
		if err != nil || s.Effects.CopyOut || s.Effects.CopyIn {
			continue
		}
		accepted := s.CheckMaskSet(m) == nil
		if _, err := conn.Exec(ctx, "BEGIN").ReadAll(); err != nil {
			t.Fatal(err)
		}
		results, err := conn.Exec(ctx, text).ReadAll()
		if _, end := conn.Exec(ctx, "ROLLBACK").ReadAll(); end != nil {
			t.Fatal(end)
		}
		if err != nil && accepted {
			t.Errorf("%q: accepted, but the server says: %v", text, err)
		}
		if err != nil || !accepted {
			if err == nil {
				unmasked++
			}
			continue
		}
		for _, r := range results {
			for i, f := range r.FieldDescriptions {
				if masked(t, m, f.TableOID, f.TableAttributeNumber) {
					continue
				}
				for _, row := range r.Rows {
					if strings.Contains(string(row[i]), canary) {
						t.Errorf("%q: column %d shows a masked value: %q", text, i, row[i])
					}
				}
			}
		}
	}
	if unmasked < 50 {
		t.Errorf("only %d of the evasions are valid SQL on the server", unmasked)
	}
}

func masked(tb testing.TB, m *sql.MaskSet, table uint32, number uint16) bool {
	rel, ok := shopCatalog(tb).Relation(table)
	if !ok {
		return false
	}
	column, ok := rel.ColumnByNumber(int16(number))
	if !ok {
		return false
	}
	_, yes := m.Masked(table, column.Name)
	return yes
}

// TestMaskedContexts puts a masked column into every place of a statement that
// can hold an expression, so that no clause is forgotten.
func TestMaskedContexts(t *testing.T) {
	t.Parallel()
	m := maskSet(t)
	places := []string{
		"SELECT length(%s) FROM customers c", "SELECT c.id FROM customers c WHERE %s = ''",
		"SELECT c.id FROM customers c ORDER BY %s", "SELECT 1 FROM customers c GROUP BY %s",
		"SELECT 1 FROM customers c HAVING %s = ''", "SELECT c.id FROM customers c LIMIT length(%s)",
		"SELECT c.id FROM customers c JOIN orders o ON %s = ''", "SELECT sum(1) FILTER (WHERE %s = '') FROM customers c",
		"SELECT sum(1) OVER (PARTITION BY %s) FROM customers c", "SELECT sum(1) OVER (ORDER BY c.id RANGE length(%s) PRECEDING) FROM customers c",
		"SELECT string_agg('x', '' ORDER BY %s) FROM customers c", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY %s) FROM customers c",
		"SELECT c.id FROM customers c, LATERAL generate_series(1, length(%s)) g",
		"SELECT c.id FROM customers c, LATERAL (SELECT %s AS z) g", "SELECT ARRAY[1, length(%s)] FROM customers c",
		"SELECT (ARRAY[1])[length(%s)] FROM customers c", "SELECT (ARRAY[1])[1:length(%s)] FROM customers c",
		"SELECT CASE %s WHEN '' THEN 1 END FROM customers c", "SELECT CASE WHEN true THEN %s END FROM customers c",
		"SELECT * FROM orders o WHERE o.status = (SELECT %s FROM customers c)", "UPDATE customers c SET name = %s",
		"DELETE FROM customers c WHERE %s = ''", "UPDATE orders SET status = %s FROM customers c",
		"SELECT xmlelement(name a, xmlattributes(%s AS z)) FROM customers c", "SELECT xmlparse(document %s) FROM customers c",
		"SELECT grouping(%s) FROM customers c", "SELECT c.id FROM customers c WHERE %s IN ('a')",
		"SELECT c.id FROM customers c WHERE 'a' IN (%s)", "SELECT c.id FROM customers c WHERE %s SIMILAR TO 'a'",
		"SELECT overlay(%s placing 'a' from 1) FROM customers c", "SELECT collation for (%s) FROM customers c",
	}
	for _, place := range places {
		for _, ref := range []string{"c.email", "email", "(c).email", "c.card", "c.email_lower"} {
			text := fmt.Sprintf(place, ref)
			s, err := one(t, text, options())
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			if s.CheckMaskSet(m) == nil {
				t.Errorf("%q: accepted", text)
			}
		}
	}
}
