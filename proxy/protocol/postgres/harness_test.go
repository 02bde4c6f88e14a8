// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// server is the one PostgreSQL of this package's tests.
var server *pgtest.Server

// canary is the password that must appear nowhere (checklist 49).
const (
	canary  = "canary-5ee0b1f6"
	service = "shop_service"
)

func TestMain(m *testing.M) {
	code := 1
	var err error
	if server, err = pgtest.Start(context.Background(), pgtest.Options{}); err == nil {
		if err = seed(context.Background()); err == nil {
			code = m.Run()
		}
		if stopErr := server.Stop(); err == nil {
			err = stopErr
		}
	}
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func seed(ctx context.Context) error {
	if err := server.Exec(ctx,
		"CREATE ROLE "+service+" LOGIN PASSWORD '"+canary+"'",
		"CREATE DATABASE shop OWNER "+service,
	); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, server.DSN(service, canary, "shop"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `
		CREATE SCHEMA shop;
		CREATE TABLE public.customers (id int PRIMARY KEY, name text NOT NULL, email text, phone varchar(40), born date, score numeric CHECK (score >= 0));
		INSERT INTO public.customers VALUES
			(1, 'Ann', 'ann@example.com', '+1 555 0100', '1980-01-02', 1.5),
			(2, 'Ben', 'ben@example.com', '+1 555 0101', '1981-03-04', 2.5),
			(3, 'Cem', NULL, NULL, NULL, NULL);
		CREATE TABLE public.orders (id int PRIMARY KEY, customer int, total int);
		INSERT INTO public.orders SELECT i, 1 + i % 3, i * 10 FROM generate_series(1, 1000) i;
		CREATE TABLE public.secrets (id int, word text);
		INSERT INTO public.secrets VALUES (1, 'classified');`)
	return err
}

// road is a gate to the server's database shop.
func road(tb testing.TB, edit ...func(*protocoltest.Config)) (*protocoltest.Road, *protocoltest.Server) {
	tb.Helper()
	c := protocoltest.Config{
		Protocol: postgres.New(), Options: []byte(`{"databases":["shop"]}`),
		Target:   snapshot.Target{Host: server.Host, Port: int32(server.Port)},
		TLS:      snapshot.TLS{Mode: "VerifyFull", CA: string(server.CAPEM)},
		Username: service, Password: canary,
	}
	for _, e := range edit {
		e(&c)
	}
	r := protocoltest.New(tb, c)
	s := r.Listen(tb, postgres.New())
	tb.Cleanup(func() {
		if tb.Failed() {
			for _, e := range r.Log.Events() {
				if e.Operation != nil && e.Decision != nil {
					tb.Logf("%s %d %s %q: %s %s", e.Type, e.OperationID, e.Operation.Kind, e.Operation.Statement, e.Decision.Effect, e.Decision.Message)
				} else {
					tb.Logf("%s %d %+v %s", e.Type, e.OperationID, e.Result, e.Reason)
				}
			}
		}
	})
	return r, s
}

// dsn is how a client reaches a server of the proxy.
func dsn(tb testing.TB, r *protocoltest.Road, s *protocoltest.Server) string {
	tb.Helper()
	ca := filepath.Join(tb.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, r.CAPEM, 0o600); err != nil {
		tb.Fatal(err)
	}
	host, port, _ := strings.Cut(s.Address, ":")
	return fmt.Sprintf("host=%s port=%s user=alice dbname=shop sslmode=verify-full sslrootcert=%s password=%s", host, port, ca, protocoltest.Token)
}

// deadline bounds a test.
func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 60*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

// client connects with pgx.
func client(tb testing.TB, r *protocoltest.Road, s *protocoltest.Server, edit ...func(*pgx.ConnConfig)) *pgx.Conn {
	tb.Helper()
	config, err := pgx.ParseConfig(dsn(tb, r, s))
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range edit {
		e(config)
	}
	conn, err := pgx.ConnectConfig(deadline(tb), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// low connects with pgconn.
func low(tb testing.TB, r *protocoltest.Road, s *protocoltest.Server) *pgconn.PgConn {
	tb.Helper()
	return client(tb, r, s).PgConn()
}

// psql runs a script and returns what it printed.
func psql(tb testing.TB, dsn, script string, args ...string) (string, error) {
	tb.Helper()
	command := exec.CommandContext(deadline(tb), filepath.Join(server.BinDir, "psql"), append([]string{"-X", "-A", "-t", "-d", dsn}, args...)...)
	command.Env = append(os.Environ(), "PGCONNECT_TIMEOUT=10", "LC_ALL=C.UTF-8")
	command.Stdin = strings.NewReader(script)
	out, err := command.CombinedOutput()
	return string(out), err
}

// decided returns the decisions on record by statement.
func decided(r *protocoltest.Road) map[string]string {
	found := map[string]string{}
	for _, e := range r.Log.OfType(record.OperationDecided) {
		found[e.Operation.Statement] = string(e.Decision.Effect)
	}
	return found
}
