// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/doorward/doorward/api/v1alpha1"
)

// pgxConfig is how pgx reaches the proxy as the caller. Every byte that comes
// out of TLS is kept.
func (c *caller) pgxConfig(edit ...func(*pgx.ConnConfig)) *pgx.ConnConfig {
	c.t.Helper()
	config, err := pgx.ParseConfig(through())
	if err != nil {
		c.t.Fatal(err)
	}
	config.Password = c.token
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(io.TeeReader(r, c), w)
	}
	for _, e := range edit {
		e(config)
	}
	return config
}

// pgx connects through the proxy.
func (c *caller) pgx(edit ...func(*pgx.ConnConfig)) *pgx.Conn {
	c.t.Helper()
	return connect(c.t, c.context(), c.pgxConfig(edit...))
}

// pgxDirect connects past the proxy.
func (c *caller) pgxDirect(edit ...func(*pgx.ConnConfig)) *pgx.Conn {
	c.t.Helper()
	config, err := pgx.ParseConfig(direct())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range edit {
		e(config)
	}
	return connect(c.t, c.context(), config)
}

func connect(t *testing.T, ctx context.Context, config *pgx.ConnConfig) *pgx.Conn { //nolint:revive // t first, as everywhere here
	t.Helper()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatalf("cannot connect: %v", err)
	}
	t.Cleanup(func() {
		closing, cancel := context.WithTimeout(context.Background(), clientTimeout)
		defer cancel()
		_ = conn.Close(closing) // some tests have closed it
	})
	return conn
}

// checkBinary looks for masked values in binary in what came out of TLS.
func (c *caller) checkBinary() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, value := range maskedBinary {
		if bytes.Contains(c.seen.Bytes(), value) {
			c.t.Errorf("the client was given the %s of person 3 in binary: %x", what, value)
		}
	}
}

func code(err error) string {
	var target *pgconn.PgError
	if errors.As(err, &target) {
		return target.Code
	}
	return ""
}

var modes = map[string]pgx.QueryExecMode{
	"CacheStatement": pgx.QueryExecModeCacheStatement,
	"CacheDescribe":  pgx.QueryExecModeCacheDescribe,
	"DescribeExec":   pgx.QueryExecModeDescribeExec,
	"Exec":           pgx.QueryExecModeExec,
	"Simple":         pgx.QueryExecModeSimpleProtocol,
}

// work is what a program does with pgx in any mode; it returns what it saw.
func work(ctx context.Context, conn *pgx.Conn) (saw []any, err error) {
	for range 3 {
		rows, err := conn.Query(ctx, "SELECT id, name, price::float8, added FROM lab.items WHERE id < $1 ORDER BY id", 4)
		if err != nil {
			return nil, err
		}
		values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil {
			return nil, err
		}
		saw = append(saw, values)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	tag, err := tx.Exec(ctx, "INSERT INTO lab.items (id, name, price) VALUES ($1, $2, 1), ($1::int + 1, 'x', 2)", 9100, "pgx's")
	saw = append(saw, tag.String(), code(err))
	nested, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	_, err = nested.Exec(ctx, "INSERT INTO lab.items (id, name, price) VALUES ($1, 'twice', 1)", 9100)
	saw = append(saw, code(err))
	if err := nested.Rollback(ctx); err != nil {
		return nil, err
	}
	tag, err = tx.Exec(ctx, "DELETE FROM lab.items WHERE id >= $1", 9100)
	saw = append(saw, tag.String(), code(err))
	if err := tx.Rollback(ctx); err != nil {
		return nil, err
	}
	var missing string
	err = conn.QueryRow(ctx, "SELECT name FROM lab.items WHERE id = $1", -1).Scan(&missing)
	saw = append(saw, errors.Is(err, pgx.ErrNoRows))
	_, err = conn.Exec(ctx, "SELECT 1 / $1::int", 0)
	saw = append(saw, code(err))
	return saw, nil
}

// TestPgxModes: all ways in which pgx sends queries give what they give on a
// direct connection.
func TestPgxModes(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, "builders")
			use := func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = mode }
			want, err := work(c.context(), c.pgxDirect(use))
			if err != nil {
				t.Fatalf("past the proxy: %v", err)
			}
			got, err := work(c.context(), c.pgx(use))
			if err != nil {
				t.Fatalf("through the proxy: %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-direct +through the proxy:\n%s", diff)
			}
		})
	}
}

// person is a row of lab.people whose masked columns may be NULL.
type person struct {
	ID     int32
	Name   string
	Email  pgtype.Text
	Card   pgtype.Text
	Phone  pgtype.Text
	Born   pgtype.Date
	Salary pgtype.Numeric
	Visits pgtype.Int8
	Token  pgtype.UUID
	Secret []byte
	Notes  []byte
	Tags   []string
	Seen   pgtype.Timestamptz
}

// TestPgxMasks: masked columns in text and binary, in every mode; nothing of
// them in any byte that came.
func TestPgxMasks(t *testing.T) {
	text := func(s string) pgtype.Text { return pgtype.Text{String: s, Valid: true} }
	want := person{ID: 3, Name: "Person 3", Email: text("[masked]"), Card: text("***************2003"), Phone: text("[masked]"), Notes: []byte(`"[masked]"`)}
	for name, mode := range modes {
		for format, code := range map[string]int16{"Text": pgtype.TextFormatCode, "Binary": pgtype.BinaryFormatCode} {
			if name == "Simple" && format == "Binary" {
				continue // the simple protocol has no binary results
			}
			t.Run(name+format, func(t *testing.T) {
				t.Parallel()
				c := newCaller(t, "developers")
				conn := c.pgx(func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = mode })
				// The second time comes from pgx's cache, where it has one.
				for range 2 {
					args := []any{3}
					if name != "Simple" {
						args = append([]any{pgx.QueryResultFormats(slices.Repeat([]int16{code}, 13))}, args...)
					}
					rows, err := conn.Query(c.context(), "SELECT * FROM lab.people WHERE id = $1", args...)
					if err != nil {
						t.Fatal(err)
					}
					got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[person])
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("row (-want +got):\n%s", diff)
					}
				}
				c.checkBinary()
				c.expectLater(v1alpha1.OperationCounts{Total: 2, Allowed: 2, Masked: 2}, conn)
			})
		}
	}
}

// expectLater closes a connection and compares the counts.
func (c *caller) expectLater(want v1alpha1.OperationCounts, conn *pgx.Conn) {
	c.t.Helper()
	if err := conn.Close(c.context()); err != nil {
		c.t.Errorf("cannot close: %v", err)
	}
	c.expectCounts(c.t, want)
}

// TestPgxBatch: many statements in one round trip; an error or a refusal in the
// middle drops the rest, as on a direct connection.
func TestPgxBatch(t *testing.T) {
	tests := map[string]struct {
		reason     string
		statements []string
		codes      []string
	}{
		"Good":    {"all run", []string{"SELECT 1", "SELECT 2", "SELECT id FROM lab.items WHERE id = 1"}, []string{"", "", ""}},
		"Error":   {"the target's error drops the rest", []string{"SELECT 1", "SELECT 1/0", "SELECT 3"}, []string{"", "22012", "22012"}},
		"Refused": {"a refusal is an error like any other", []string{"SELECT 1", "DELETE FROM lab.people", "SELECT 3"}, []string{"42501", "42501", "42501"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, "developers")
			conn := c.pgx()
			batch := &pgx.Batch{}
			for _, text := range tc.statements {
				batch.Queue(text)
			}
			results := conn.SendBatch(c.context(), batch)
			var codes []string
			for range tc.statements {
				_, err := results.Exec()
				codes = append(codes, code(err))
			}
			_ = results.Close() // the error is the one that was read
			if diff := cmp.Diff(tc.codes, codes); diff != "" {
				t.Errorf("%s: SQLSTATEs (-want +got):\n%s", tc.reason, diff)
			}
			var alive int
			if err := conn.QueryRow(c.context(), "SELECT 7").Scan(&alive); err != nil || alive != 7 {
				t.Errorf("%s: the session does not go on: %v", tc.reason, err)
			}
		})
	}
}

// TestPgxCopy: COPY in pgx's binary format and in text, both ways.
func TestPgxCopy(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "builders")
	conn := c.pgx()
	ctx := c.context()
	if _, err := conn.Exec(ctx, "CREATE TEMP TABLE copied (id int, name text, at timestamptz)"); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const count = 20_000
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "name", "at"},
		pgx.CopyFromSlice(count, func(i int) ([]any, error) { return []any{i, "row", at}, nil }))
	if err != nil || n != count {
		t.Fatalf("copied %d rows: %v", n, err)
	}
	// A source that fails half way: nothing of it is kept.
	broken := errors.New("the source is broken")
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "name", "at"},
		pgx.CopyFromSlice(count, func(i int) ([]any, error) {
			if i == count/2 {
				return nil, broken
			}
			return []any{i, "row", at}, nil
		})); err == nil {
		t.Error("a broken source is no error")
	}
	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &out, "COPY copied TO STDOUT (FORMAT csv)")
	if err != nil || tag.RowsAffected() != count || bytes.Count(out.Bytes(), []byte{'\n'}) != count {
		t.Errorf("copied out %q, %d lines: %v", tag, bytes.Count(out.Bytes(), []byte{'\n'}), err)
	}
	tag, err = conn.PgConn().CopyFrom(ctx, &out, "COPY copied FROM STDIN (FORMAT csv)")
	if err != nil || tag.RowsAffected() != count {
		t.Errorf("copied in %q: %v", tag, err)
	}
}

// TestPgxCopyRefused: COPY FROM of what is not allowed is refused before any data is asked for.
func TestPgxCopyRefused(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "builders")
	conn := c.pgx()
	_, err := conn.PgConn().CopyFrom(c.context(), bytes.NewReader([]byte("x,1\n")), "COPY payroll FROM STDIN (FORMAT csv)")
	if code(err) != "42501" {
		t.Errorf("want SQLSTATE 42501: %v", err)
	}
	c.expectLater(v1alpha1.OperationCounts{Total: 1, Denied: 1}, conn)
}

// TestPgxNotify: LISTEN, and a notification that arrives unasked from another session.
func TestPgxNotify(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	listener, teller := c.pgx(), c.pgx()
	if _, err := listener.Exec(c.context(), "LISTEN lab_pgx"); err != nil {
		t.Fatal(err)
	}
	if _, err := teller.Exec(c.context(), "NOTIFY lab_pgx, 'news'"); err != nil {
		t.Fatal(err)
	}
	got, err := listener.WaitForNotification(c.context())
	if err != nil || got.Channel != "lab_pgx" || got.Payload != "news" {
		t.Errorf("notification %+v: %v", got, err)
	}
	_, err = listener.Exec(c.context(), "LISTEN secret_channel")
	if code(err) != "42501" {
		t.Errorf("want SQLSTATE 42501: %v", err)
	}
}

// TestPgxCancel: a context that ends cancels the query at the target.
func TestPgxCancel(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	conn := c.pgx(func(config *pgx.ConnConfig) {
		config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: clientTimeout}
		}
	})
	ctx, cancel := context.WithCancel(c.context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(60)")
		done <- err
	}()
	c.awaitExecuted("SELECT pg_sleep(60)")
	cancel()
	if err := <-done; code(err) != "57014" {
		t.Errorf("want SQLSTATE 57014: %v", err)
	}
	var alive int
	if err := conn.QueryRow(c.context(), "SELECT 7").Scan(&alive); err != nil || alive != 7 {
		t.Errorf("the session does not go on: %v", err)
	}
	c.expectLater(v1alpha1.OperationCounts{Total: 2, Allowed: 2, Failed: 1}, conn)
}

// TestPgxAbandon: a client that goes away in the middle of a query leaves
// nothing running at the target.
func TestPgxAbandon(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	conn := c.pgx()
	ctx, cancel := context.WithCancel(c.context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(61)")
		done <- err
	}()
	c.awaitExecuted("SELECT pg_sleep(61)")
	if err := conn.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the query succeeded")
	}
	observer := c.pgxDirect()
	c.await(func(ctx context.Context) error {
		var n int
		err := observer.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE $1", "doorward:"+c.user+":%").Scan(&n)
		if err == nil && n > 0 {
			err = errors.New("the target still has the session")
		}
		return err
	})
}
