// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// TestDatabaseSQL: Go's database/sql over pgx, with its pool, prepared
// statements on several connections, transactions and NULLs from masks.
func TestDatabaseSQL(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	ctx := c.context()
	db := stdlib.OpenDB(*c.pgxConfig())
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("cannot close: %v", err)
		}
	})
	db.SetMaxOpenConns(4)
	statement, err := db.PrepareContext(ctx, "SELECT name, email, visits FROM lab.people WHERE id = $1")
	if err != nil {
		t.Fatal(err)
	}
	defer statement.Close()
	type row struct {
		Name   string
		Email  sql.NullString
		Visits sql.NullInt64
	}
	want := row{Name: "Person 3", Email: sql.NullString{String: "[masked]", Valid: true}}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			var got row
			if err := statement.QueryRowContext(ctx, 3).Scan(&got.Name, &got.Email, &got.Visits); err != nil {
				t.Errorf("cannot query: %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
	group.Wait()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO lab.items (id, name, price) VALUES ($1, 'x', 1)", 9200)
	if code(err) != "25006" {
		t.Errorf("want SQLSTATE 25006 in a read-only transaction: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Errorf("cannot roll back: %v", err)
	}
	c.checkBinary()
}

// TestPgxStatementCache: a schema change elsewhere makes cached statements
// stale; pgx sees the target's error and prepares again.
func TestPgxStatementCache(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "builders")
	ctx := c.context()
	conn, other := c.pgx(), c.pgx()
	exec := func(conn *pgx.Conn, text string) {
		t.Helper()
		if _, err := conn.Exec(ctx, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	columns := func() (int, error) {
		rows, err := conn.Query(ctx, "SELECT * FROM lab.made_cache")
		if err != nil {
			return 0, err
		}
		rows.Close()
		return len(rows.FieldDescriptions()), rows.Err()
	}
	exec(other, "CREATE TABLE lab.made_cache (a int)")
	defer exec(other, "DROP TABLE lab.made_cache")
	if n, err := columns(); n != 1 || err != nil {
		t.Fatalf("%d columns: %v", n, err)
	}
	exec(other, "ALTER TABLE lab.made_cache ADD COLUMN b int")
	if _, err := columns(); code(err) != "0A000" {
		t.Errorf("want the target's SQLSTATE 0A000 for a stale statement: %v", err)
	}
	if n, err := columns(); n != 2 || err != nil {
		t.Errorf("%d columns once prepared again: %v", n, err)
	}
}

// drain reads all answers of a pipeline.
func drain(pipe *pgconn.Pipeline) (answers []string) {
	for {
		result, err := pipe.GetResults()
		var target *pgconn.PgError
		switch {
		case errors.As(err, &target):
			answers = append(answers, "error "+target.Code)
			continue
		case err != nil:
			return append(answers, err.Error())
		}
		switch r := result.(type) {
		case nil:
			return answers
		case *pgconn.StatementDescription:
			answers = append(answers, "prepared")
		case *pgconn.CloseComplete:
			answers = append(answers, "closed")
		case *pgconn.PipelineSync:
			answers = append(answers, "sync")
		case *pgconn.ResultReader:
			for r.NextRow() {
				answers = append(answers, "row "+string(r.Values()[0]))
			}
			if _, err := r.Close(); err != nil {
				answers = append(answers, "error "+code(err))
			}
		}
	}
}

// TestPgxPipeline: Parse, Bind and Execute of several statements with Syncs of
// the client's choice.
func TestPgxPipeline(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	ctx := c.context()
	pipe := c.pgx().PgConn().StartPipeline(ctx)
	pipe.SendPrepare("p", "SELECT email FROM lab.people WHERE id = $1", nil)
	pipe.SendQueryPrepared("p", [][]byte{[]byte("3")}, nil, []int16{1})
	if err := pipe.Sync(); err != nil {
		t.Fatal(err)
	}
	pipe.SendQueryParams("SELECT 1/0", nil, nil, nil, nil)
	pipe.SendQueryPrepared("p", [][]byte{[]byte("4")}, nil, nil)
	if err := pipe.Sync(); err != nil {
		t.Fatal(err)
	}
	pipe.SendQueryPrepared("p", [][]byte{[]byte("5")}, nil, nil)
	pipe.SendDeallocate("p")
	if err := pipe.Sync(); err != nil {
		t.Fatal(err)
	}
	got := drain(pipe)
	want := []string{"prepared", "row [masked]", "sync", "error 22012", "sync", "row [masked]", "closed", "sync"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if err := pipe.Close(); err != nil {
		t.Errorf("cannot close the pipeline: %v", err)
	}
}
