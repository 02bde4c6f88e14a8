// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestLeftBehind is checklist 52: what a proxy that was killed leaves at the target is no
// foreign login, though the next process made none of it; nor is anything after the
// target itself was killed.
func TestLeftBehind(t *testing.T) {
	before, err := foreign()
	stacktest.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dsn := strings.Replace(world.Postgres.SuperuserDSN, "dbname=postgres", "dbname="+stack.Database, 1)
	holder, err := pgx.Connect(ctx, dsn)
	stacktest.Must(t, err)
	defer func() { _ = holder.Close(context.WithoutCancel(ctx)) }()
	if _, err := holder.Exec(ctx, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	live := login(t, alice)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_ = live.Exec(ctx, "SELECT count(*) FROM orders")
	}()
	left := func() (n int, err error) {
		err = holder.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'doorward:%alice%' AND wait_event_type = 'Lock'").Scan(&n)
		return n, err
	}
	await(t, "a statement that waits", func(context.Context) error {
		if n, err := left(); n != 1 {
			return fmt.Errorf("%d, %w", n, err)
		}
		return nil
	})
	stacktest.Must(t, world.Proxy().Kill())
	<-asked
	startProxy(t)
	looks(t, 2)
	if n, err := left(); n != 1 {
		t.Errorf("the target holds %d sessions of the killed proxy, %v: want one", n, err)
	}

	live = login(t, alice)
	live.Must(t, "SELECT 1")
	crash, done := context.WithTimeout(ctx, stacktest.Timeout)
	defer done()
	stacktest.Must(t, world.Postgres.Crash(crash))
	await(t, "a session after the target's crash", func(ctx context.Context) error {
		s, err := dial(ctx, alice)
		if err == nil {
			t.Cleanup(func() { _ = s.Close(context.Background()) })
		}
		return err
	})
	looks(t, 3)

	after, err := foreign()
	stacktest.Must(t, err)
	for _, d := range after[len(before):] {
		t.Errorf("a proxy's own was taken for foreign: %+v", d)
	}
}

// foreign are the records of foreign logins.
func foreign() (found []record.Document, err error) {
	all, err := records()
	for _, d := range all {
		if d.Type == record.ForeignLogin {
			found = append(found, d)
		}
	}
	return found, err
}

// looks waits until the proxy has looked n more times at who is logged in, and so
// judged what is there for longer than it takes to open a session.
func looks(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		content, err := world.Postgres.Log()
		stacktest.Must(t, err)
		return strings.Count(content, "FROM pg_catalog.pg_stat_activity")
	}
	for range n {
		before := count()
		await(t, "a look at who is logged in", func(context.Context) error {
			if count() == before {
				return errors.New("none since")
			}
			return nil
		})
	}
}
