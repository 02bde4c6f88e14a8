// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// witness is a session at the target as its superuser, past the proxy.
func witness(t *testing.T) *pgconn.PgConn {
	t.Helper()
	dsn := strings.Replace(world.Postgres.SuperuserDSN, "dbname=postgres", "dbname="+stack.Database, 1)
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("cannot reach the target: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// quiet ends once nobody is left at the target of the sessions of a user's clients.
const quiet = `DO $$ BEGIN
  WHILE EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'doorward:%s:%%') LOOP
    PERFORM pg_sleep(0.005);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
END $$`

// awaitQuiet returns once the target has done all it was sent for a label.
func awaitQuiet(ctx context.Context, conn *pgconn.PgConn, label string) error {
	ctx, cancel := context.WithTimeout(ctx, stacktest.Timeout)
	defer cancel()
	if _, err := conn.Exec(ctx, fmt.Sprintf(quiet, userOf(label))).ReadAll(); err != nil {
		return fmt.Errorf("the target's sessions do not end: %w", err)
	}
	return nil
}

// changed are the marks of a label in the target's table.
func changed(ctx context.Context, conn *pgconn.PgConn, label string) (map[string]bool, error) {
	result := conn.ExecParams(ctx, "SELECT mark FROM ledger WHERE mark LIKE 'mark-_-' || $1 || '-%'", [][]byte{[]byte(label)}, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, fmt.Errorf("cannot read what was changed: %w", result.Err)
	}
	marks := map[string]bool{}
	for _, row := range result.Rows {
		marks[string(row[0])] = true
	}
	return marks, nil
}
