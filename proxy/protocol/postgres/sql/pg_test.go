// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// server is a real PostgreSQL, started once for the tests of this package.
var server = sync.OnceValues(startServer)

var stopServer = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stopServer()
	os.Exit(code)
}

func startServer() (string, error) {
	dir, err := os.MkdirTemp("", "doorward-sql-test")
	if err != nil {
		return "", err
	}
	stopServer = func() { _ = os.RemoveAll(dir) }
	bin := binaries()
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		// The server refuses to run as root; nobody owns the directory instead.
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return "", err
		}
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	run := func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.SysProcAttr, cmd.Dir = attr, dir
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			_, _ = os.Stderr.Write(out)
		}
		return err
	}
	data := filepath.Join(dir, "data")
	if err := run("initdb", "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync"); err != nil {
		return "", err
	}
	options := "-c listen_addresses='' -c unix_socket_directories=" + dir + " -c fsync=off -c autovacuum=off"
	if err := run("pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", options, "start"); err != nil {
		return "", err
	}
	stopServer = func() {
		_ = run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
		_ = os.RemoveAll(dir)
	}
	return "host=" + dir + " user=owner dbname=postgres sslmode=disable", nil
}

func binaries() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) > 0 {
		return found[len(found)-1]
	}
	return ""
}

// connect opens a connection to the shop.
func connect(tb testing.TB) *pgconn.PgConn {
	tb.Helper()
	shopCatalog(tb)
	dsn, err := server()
	if err != nil {
		tb.Fatal(err)
	}
	return connectTo(tb, dsn)
}

func connectTo(tb testing.TB, dsn string) *pgconn.PgConn {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	tb.Cleanup(cancel)
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func querier(conn *pgconn.PgConn) catalog.Querier {
	return catalog.QuerierFunc(func(ctx context.Context, text string) ([][]string, error) {
		results, err := conn.Exec(ctx, text).ReadAll()
		if err != nil {
			return nil, err
		}
		var out [][]string
		for _, r := range results {
			for _, row := range r.Rows {
				line := make([]string, len(row))
				for i, v := range row {
					line[i] = string(v)
				}
				out = append(out, line)
			}
		}
		return out, nil
	})
}

const shopSchema = `
DROP SCHEMA IF EXISTS sales, secret, other CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public;
CREATE SCHEMA secret; CREATE SCHEMA other;
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, card text, phone text,
  email_lower text GENERATED ALWAYS AS (lower(email)) STORED);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric, status text, at timestamptz);
CREATE TABLE newsletter (id int PRIMARY KEY, email text, topic text);
CREATE TABLE notes (id int PRIMARY KEY, body text);
CREATE TABLE secret.t (id int, v text);
CREATE TABLE secret.users (id int, password text);
CREATE TABLE users (id int, login text);
CREATE TABLE other.orders (id int, x text);
CREATE VIEW contact AS SELECT id, email AS address FROM customers;
CREATE VIEW contact2 AS SELECT * FROM contact;
CREATE VIEW open_orders AS SELECT id, total FROM orders WHERE status = 'open';
CREATE MATERIALIZED VIEW contact_m AS SELECT id, email FROM customers WITH NO DATA;
CREATE TABLE people (id int, email text, region text) PARTITION BY LIST (region);
CREATE TABLE people_eu PARTITION OF people FOR VALUES IN ('eu');
CREATE TABLE parent (id int, v text); CREATE TABLE child (extra int) INHERITS (parent);
CREATE FUNCTION leak(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM customers WHERE id = $1';
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION fullname(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
CREATE PROCEDURE tidy(int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION eqq(notes, notes) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR === (LEFTARG = notes, RIGHTARG = notes, FUNCTION = eqq);
CREATE VIEW via_function AS SELECT leak(1);
CREATE VIEW via_xml AS SELECT query_to_xml('select email from customers', true, true, '');
CREATE VIEW via_auth AS SELECT rolname, rolpassword FROM pg_authid;
CREATE TABLE bills (id int PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY);
CREATE TABLE lines (bill int REFERENCES bills ON DELETE CASCADE, item int REFERENCES items ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE ruled (id int); CREATE TABLE ruled_log (id int); CREATE RULE log AS ON INSERT TO ruled DO ALSO INSERT INTO ruled_log VALUES (NEW.id);
CREATE SEQUENCE tickets;
CREATE TYPE mood AS ENUM ('sad', 'ok');
`

// shop is the catalog of a small shop, read from a real server.
var shop = sync.OnceValues(func() (*catalog.Catalog, error) {
	dsn, err := server()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "SET client_min_messages = error; "+shopSchema+canaryRows).ReadAll(); err != nil {
		return nil, err
	}
	return catalog.Load(ctx, querier(conn))
})

func shopCatalog(tb testing.TB) *catalog.Catalog {
	tb.Helper()
	c, err := shop()
	if err != nil {
		tb.Fatalf("cannot load the catalog of a real PostgreSQL (install the postgresql package): %v", err)
	}
	return c
}

func options() sql.Options {
	return sql.Options{SearchPath: []string{"pg_catalog", "public"}, Database: "postgres"}
}

// one analyses a text of one statement.
func one(tb testing.TB, text string, opt sql.Options) (*sql.Statement, error) {
	tb.Helper()
	all, err := sql.Analyze(text, shopCatalog(tb), opt)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		tb.Fatalf("%q: %d statements, want 1", text, len(all))
	}
	return &all[0], nil
}

// flat writes accesses as "action resource".
func flat(s *sql.Statement) []string {
	var out []string
	for _, a := range s.Accesses {
		text := strings.TrimSpace(a.Action + " " + a.Resource)
		if a.Indirect {
			text = "indirect " + text
		}
		out = append(out, text)
	}
	return out
}

// masks of customers and of the partitioned people.
func masks(tb testing.TB) sql.MaskedColumns {
	tb.Helper()
	return masksOf(tb, false, false)
}

// masksOf are masks that allow what is said.
func masksOf(tb testing.TB, derived, predicates bool) sql.MaskedColumns {
	tb.Helper()
	c := shopCatalog(tb)
	customers, _ := c.Lookup("public", "customers")
	people, _ := c.Lookup("public", "people")
	return func(oid uint32) []sql.MaskedColumn {
		var out []sql.MaskedColumn
		switch oid {
		case customers.OID:
			out = maskedColumns("email", "card", "phone")
		case people.OID:
			out = maskedColumns("email")
		}
		for i := range out {
			out[i].Derived, out[i].Predicates = derived, predicates
		}
		return out
	}
}

// maskedColumns are masked as strictly as can be.
func maskedColumns(names ...string) []sql.MaskedColumn {
	var out []sql.MaskedColumn
	for _, n := range names {
		out = append(out, sql.MaskedColumn{Name: n})
	}
	return out
}

// undisclosed says why a statement is not to run under the masks.
func undisclosed(s *sql.Statement, m *sql.MaskSet) error {
	_, err := s.Disclose(m)
	return err
}

// sqlState is the code of an error of the server.
func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
