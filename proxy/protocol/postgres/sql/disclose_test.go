// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// kinds writes what a statement shows: - for clear, the column for plain,
// * for derived.
func kinds(t *testing.T, d *sql.Disclosure, n int) string {
	t.Helper()
	outputs, err := d.Columns(n)
	if err != nil {
		return "error"
	}
	var out []string
	for _, o := range outputs {
		switch o.Kind {
		case sql.Plain:
			out = append(out, o.Source.Column)
		case sql.Derived:
			out = append(out, "*")
		default:
			out = append(out, "-")
		}
	}
	return strings.Join(out, " ")
}

func TestDisclose(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason, text string
		columns      int
		// want is for masks that allow derived values; strict for those that
		// allow nothing, where it differs.
		want, strict string
	}{
		"Plain":          {"", "SELECT id, email FROM customers", 2, "- email", ""},
		"Alias":          {"a name says nothing", "SELECT email AS id FROM customers", 1, "email", ""},
		"Star":           {"a generated column is masked as a whole", "SELECT * FROM customers", 6, "- - email card phone *", ""},
		"Subquery":       {"", "SELECT x.e FROM (SELECT email FROM customers) x(e)", 1, "email", ""},
		"Deep":           {"", "WITH a AS (SELECT * FROM (TABLE customers) b), c(x, y, z) AS (TABLE a) SELECT z, x FROM c", 2, "email -", ""},
		"View":           {"a view's column is what it selects", "SELECT * FROM contact2", 2, "- email", ""},
		"MaterialView":   {"", "SELECT * FROM contact_m", 2, "- email", ""},
		"Derived":        {"", "SELECT lower(email), name FROM customers", 2, "* -", "refused"},
		"Row":            {"", "SELECT c FROM customers c", 1, "*", "refused"},
		"RowField":       {"", "SELECT (c).email, (c).name FROM customers c", 2, "email -", ""},
		"RowStar":        {"", "SELECT (c).* FROM orders c", 5, "- - - - -", ""},
		"Attribute":      {"attribute notation", "SELECT c.row_to_json FROM customers c", 1, "*", "refused"},
		"Count":          {"whether there is a value is a part of it", "SELECT count(email), count(*) FROM customers", 2, "* -", "refused"},
		"UnionPlain":     {"", "SELECT email FROM customers UNION ALL SELECT email FROM customers", 1, "email", ""},
		"UnionKin":       {"the mask of a partition is its parent's", "SELECT email FROM people UNION ALL SELECT email FROM people_eu", 1, "email", ""},
		"UnionOther":     {"masked in another way", "SELECT email FROM customers UNION ALL SELECT email FROM people", 1, "*", "refused"},
		"UnionNull":      {"NULL stays NULL", "SELECT NULL UNION ALL SELECT email FROM customers", 1, "email", ""},
		"UnionClear":     {"a method that is keyed would be an oracle", "SELECT email FROM customers UNION ALL SELECT 'x'", 1, "*", "refused"},
		"Case":           {"", "SELECT CASE WHEN email LIKE 'a%' THEN 1 END FROM customers", 1, "*", "refused"},
		"CaseFails":      {"an error would tell", "SELECT CASE WHEN email LIKE 'a%' THEN 1 / (id - 1) END FROM customers", 1, "refused", ""},
		"Text":           {"the value is the same", "SELECT email::text FROM customers", 1, "email", ""},
		"Cut":            {"the value is another", "SELECT email::varchar(2) FROM customers", 1, "*", "refused"},
		"Lateral":        {"", "SELECT l.x FROM customers c, LATERAL (SELECT c.email AS x) l", 1, "email", ""},
		"NotLateral":     {"what is not LATERAL does not see its neighbours", "SELECT (SELECT l.x FROM orders email, (SELECT email AS x) l LIMIT 1) FROM customers", 1, "email", ""},
		"CTEScope":       {"a query of WITH hides the relation", "WITH customers AS (SELECT id AS email FROM orders) SELECT email FROM customers", 1, "-", ""},
		"CTEScopeInner":  {"but not within itself", "WITH customers AS (SELECT email FROM customers) SELECT email FROM customers", 1, "email", ""},
		"CTEScopeOther":  {"nor outside", "SELECT a.email FROM customers a, (WITH customers AS (SELECT 1) TABLE customers) b", 1, "email", ""},
		"Recursive":      {"", "WITH RECURSIVE r(n, e) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, c.email FROM r, customers c WHERE c.id = n AND n < 3) SELECT n, e FROM r", 2, "- *", "refused"},
		"RecursiveFix":   {"taint moves from column to column", "WITH RECURSIVE r(a, b, c) AS (SELECT 'x', 'y', email FROM customers UNION ALL SELECT b, c, c FROM r WHERE false) SELECT a, b, c FROM r", 3, "* * email", "refused"},
		"OuterJoin":      {"", "SELECT c.email FROM orders o LEFT JOIN customers c ON c.id = o.id", 1, "email", ""},
		"Using":          {"the merged column first", "SELECT * FROM orders JOIN customers USING (id)", 10, "- - - - - - email card phone *", ""},
		"UsingAlias":     {"", "SELECT u.*, c.email FROM orders o JOIN customers c USING (id) AS u", 2, "- email", ""},
		"JoinAlias":      {"", "SELECT j.email FROM (customers c JOIN orders o ON true) AS j", 1, "email", ""},
		"Natural":        {"orders and notes share the id only", "SELECT * FROM notes NATURAL JOIN orders", 6, "- - - - - -", ""},
		"Unnamed":        {"", `SELECT x."?column?" FROM (SELECT email || '' FROM customers) x`, 1, "*", "refused"},
		"Labels":         {"", "SELECT x.lower, x.coalesce FROM (SELECT lower(email), coalesce(name, email) FROM customers) x", 2, "* *", "refused"},
		"Returning":      {"", "UPDATE customers SET name = 'x' WHERE id = 1 RETURNING *", 6, "- - email card phone *", ""},
		"ReturningOther": {"", "DELETE FROM orders o USING customers c WHERE c.id = o.id RETURNING o.id, c.email", 2, "- email", ""},
		"ReturningCTE":   {"", "WITH u AS (UPDATE customers SET name = 'z' RETURNING id, email) SELECT email FROM u", 1, "email", ""},
		"Cursor":         {"FETCH brings these", "DECLARE c CURSOR FOR SELECT id, email FROM customers", 2, "- email", ""},
		"Copy":           {"generated columns are left out", "COPY customers TO STDOUT", 5, "- - email card phone", ""},
		"CopyColumns":    {"", "COPY customers (email_lower, id) TO STDOUT", 2, "* -", ""},
		"CopyQuery":      {"", "COPY (SELECT id, email FROM customers) TO STDOUT CSV", 2, "- email", ""},
		"Explain":        {"rows are not shown", "EXPLAIN SELECT email FROM customers", 1, "-", ""},
		"Aggregate":      {"", "SELECT string_agg(email, ',') FROM customers", 1, "*", "refused"},
		"Window":         {"", "SELECT first_value(email) OVER (ORDER BY id) FROM customers", 1, "*", "refused"},
		"WindowOrder":    {"", "SELECT row_number() OVER (ORDER BY email) FROM customers", 1, "refused", ""},
		"Statistics":     {"other columns than names are values", "SELECT tablename, most_common_vals FROM pg_stats", 2, "- *", ""},
		"Activity":       {"states go on", "SELECT pid, state, query FROM pg_stat_activity", 3, "- - *", ""},
		"ActivityLike":   {"", "SELECT pid FROM pg_stat_activity WHERE query LIKE '%x%'", 1, "refused", ""},
		"Exists":         {"what a subquery selects does not matter to it", "SELECT EXISTS (SELECT email FROM customers WHERE id = 9)", 1, "-", ""},
		"Values":         {"", "SELECT v.* FROM customers c, LATERAL (VALUES (c.email, 1), (NULL, 2)) v", 2, "email -", ""},
		"Fewer":          {"other columns than expected", "SELECT id, email FROM customers", 1, "error", ""},
		"More":           {"", "SELECT id, email FROM customers", 3, "error", ""},
		"Parameter":      {"its type is the caller's: email = $1 may mean a cast that fails", "SELECT email = $1 FROM customers", 1, "refused", ""},
		"ParameterText":  {"", "SELECT email = $1::text FROM customers", 1, "*", "refused"},
		"GroupBy":        {"", "SELECT id, email FROM customers GROUP BY id", 2, "- email", ""},
		"GroupByMasked":  {"", "SELECT count(*) FROM customers GROUP BY email", 1, "refused", ""},
		"Merge":          {"", "MERGE INTO notes n USING customers c ON n.id = c.id WHEN MATCHED THEN UPDATE SET body = c.name", 0, "", ""},
		"Stored":         {"", "INSERT INTO notes SELECT id, name FROM customers", 0, "", ""},
		"StoredMasked":   {"rule 4: always refused", "INSERT INTO notes SELECT id, email FROM customers", 0, "refused", ""},
		"Setting":        {"a setting can be shown", "SELECT set_config('a.b', email, false) FROM customers", 1, "refused", ""},
		"Seed":           {"random() would tell", "SELECT setseed(length(email) / 100.0) FROM customers", 1, "refused", ""},
		"Unknown":        {"a column that is not known", "SELECT nosuch FROM customers", 1, "refused", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, derived := range []bool{true, false} {
				want := tc.want
				if !derived && tc.strict != "" {
					want = tc.strict
				}
				s, err := one(t, tc.text, options())
				if err != nil {
					t.Fatal(err)
				}
				got := "refused"
				if d, err := s.Disclose(sql.NewMaskSet(shopCatalog(t), masksOf(t, derived, false))); err == nil {
					got = kinds(t, d, tc.columns)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: derived %v: %q: -want +got:\n%s", tc.reason, derived, tc.text, diff)
				}
			}
		})
	}
}

// TestDiscloseUnderAllow: what a mask allows is not refused, and what is shown
// of it is masked still.
func TestDiscloseUnderAllow(t *testing.T) {
	t.Parallel()
	m := sql.NewMaskSet(shopCatalog(t), masksOf(t, false, true))
	for text, want := range map[string]string{
		"SELECT id, email FROM customers WHERE email LIKE 'a%' ORDER BY email":  "- email",
		"SELECT email, count(*) FROM customers GROUP BY email":                  "email -",
		"SELECT n.id, c.email FROM newsletter n JOIN customers c USING (email)": "- email",
		"SELECT lower(email), 1 FROM customers":                                 "refused",
		"INSERT INTO notes SELECT id, email FROM customers":                     "refused",
	} {
		s, err := one(t, text, options())
		if err != nil {
			t.Fatal(err)
		}
		got := "refused"
		if d, err := s.Disclose(m); err == nil {
			got = kinds(t, d, 2)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestDiscloseMethods: columns of one method may be arms of one set operation,
// and a view's mask may be that of what it selects.
func TestDiscloseMethods(t *testing.T) {
	t.Parallel()
	c := shopCatalog(t)
	masks := func(viewMethod string) *sql.MaskSet {
		return sql.NewMaskSet(c, func(oid uint32) []sql.MaskedColumn {
			r, _ := c.Relation(oid)
			switch r.String() {
			case "public.customers", "public.people":
				return []sql.MaskedColumn{{Name: "email", Method: "hash"}}
			case "public.contact":
				return []sql.MaskedColumn{{Name: "address", Method: viewMethod}}
			}
			return nil
		})
	}
	for name, tc := range map[string]struct{ reason, text, method, want string }{
		"Union": {"one method", "SELECT email FROM customers UNION ALL SELECT email FROM people", "hash", "email"},
		"View":  {"one method", "SELECT address FROM contact", "hash", "address"},
		"Other": {"neither method will do", "SELECT address FROM contact", "null", "*"},
	} {
		s, err := one(t, tc.text, options())
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Disclose(masks(tc.method))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := kinds(t, d, 1); got != tc.want {
			t.Errorf("%s: %s: got %s, want %s", name, tc.reason, got, tc.want)
		}
	}
}

// TestDiscloseSessionRelations: what the session made holds no masked values,
// but its columns are not known.
func TestDiscloseSessionRelations(t *testing.T) {
	t.Parallel()
	opt := options()
	opt.TempRelations = func(name string) bool { return name == "scratch" || name == "customers" || name == "tv" }
	opt.Behind = func(resource string) []sql.Access {
		if resource == "pg_temp.tv" {
			return []sql.Access{{Action: sql.ActionSelect, Resource: "public.customers", Indirect: true}}
		}
		return nil
	}
	m := maskSet(t)
	for name, tc := range map[string]struct {
		reason, text string
		columns      int
		want         string
	}{
		"Open":      {"", "SELECT * FROM scratch", 3, "- - -"},
		"OpenJoin":  {"one star of unknown width is inferred", "SELECT s.*, c.email FROM scratch s, public.customers c", 4, "- - - email"},
		"TwoOpen":   {"two are not", "SELECT * FROM scratch s, scratch t, public.customers c", 9, "refused"},
		"Name":      {"a name that may be the masked column's", "SELECT x FROM scratch s, (SELECT email AS x FROM public.customers) c", 1, "email"},
		"Shadow":    {"a temporary relation that may be gone", "SELECT email FROM customers", 1, "refused"},
		"ShadowOut": {"qualified it is one of the two", "SELECT email FROM pg_temp.customers", 1, "-"},
		"Named":     {"", "SELECT s.email FROM scratch s, public.customers c", 1, "-"},
		"Outer":     {"the column may be the outer level's", "SELECT (SELECT email FROM scratch LIMIT 1) FROM public.customers", 1, "refused"},
		"View":      {"a view of the session shows what it reads", "SELECT * FROM tv", 2, "refused"},
		"Natural":   {"common columns are not known", "SELECT 1 FROM scratch NATURAL JOIN public.customers", 1, "refused"},
	} {
		s, err := one(t, tc.text, opt)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := "refused"
		if d, err := s.Disclose(m); err == nil {
			got = kinds(t, d, tc.columns)
		}
		if got != tc.want {
			t.Errorf("%s: %s: got %s, want %s", name, tc.reason, got, tc.want)
		}
	}
}

// TestDiscloseDefinitions: definitions are refused only where they reach masked
// columns.
func TestDiscloseDefinitions(t *testing.T) {
	t.Parallel()
	m := maskSet(t)
	for text, accepted := range map[string]bool{
		"ALTER TABLE orders ADD COLUMN x int": true, "ALTER TABLE customers ADD COLUMN x int": false,
		"ALTER TABLE orders RENAME COLUMN total TO t": true, "ALTER TABLE customers RENAME COLUMN name TO email2": false,
		"ALTER TABLE orders RENAME TO o2": true, "ALTER TABLE contact RENAME TO c2": false,
		"ALTER TABLE parent ATTACH PARTITION customers DEFAULT":                                         false,
		"CREATE TABLE t (id int REFERENCES customers (id))":                                             true,
		"CREATE TABLE t (e text REFERENCES customers (email))":                                          false,
		"CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)":                                      true,
		"CREATE TABLE t (id int, up int REFERENCES t, e text REFERENCES customers (email))":             false,
		"CREATE TABLE IF NOT EXISTS customers (id int, email text UNIQUE REFERENCES customers (email))": false,
		"CREATE TABLE t (LIKE customers INCLUDING ALL)":                                                 true,
		"CREATE TABLE t () INHERITS (customers)":                                                        false,
		"CREATE TABLE t PARTITION OF people FOR VALUES IN ('us')":                                       false,
		"CREATE INDEX ON customers (name)":                                                              true,
		"CREATE INDEX ON customers (email)":                                                             false,
		"CREATE INDEX ON customers (name) WHERE email IS NULL":                                          false,
		"CREATE INDEX ON customers (lower(email))":                                                      false,
		"CREATE VIEW z AS SELECT id, name FROM customers":                                               true,
		"CREATE VIEW z AS SELECT id, email FROM customers":                                              false,
		"CREATE TEMP TABLE z AS SELECT id, name FROM customers":                                         true,
		"CREATE MATERIALIZED VIEW z AS SELECT id, lower(email) FROM customers":                          false,
		"CLUSTER": false, "CLUSTER orders": true, "CLUSTER customers": false, "ANALYZE customers": true, "TRUNCATE orders": true,
		"DROP TABLE customers": true, "CREATE STATISTICS st ON id, name FROM customers": false,
	} {
		s, err := one(t, text, options())
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := undisclosed(s, m); (err == nil) != accepted {
			t.Errorf("%q: got %v, want accepted %v", text, err, accepted)
		}
	}
}

// TestDiscloseLostNames: a masked name in the text that is not in the tree is
// not passed over.
func TestDiscloseLostNames(t *testing.T) {
	t.Parallel()
	parse := func(text string) *sql.Statement {
		s, err := one(t, text, options())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole, part := parse("SELECT id FROM customers WHERE email = 'a'"), parse("SELECT id FROM customers")
	if err := undisclosed(part, maskSet(t)); err != nil {
		t.Fatal(err)
	}
	if undisclosed(sql.WithTreeOf(whole, part), maskSet(t)) == nil {
		t.Error("a condition that the parser lost is accepted")
	}
}
