// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
)

// startTimeout bounds the start of everything, compilation with the race
// detector included.
const startTimeout = 15 * time.Minute

//go:embed lab.sql
var labSQL string

//go:embed policies.yaml
var policies string

// What all tests of the package use: one stack, the folder of psql and pgbench,
// and what was read of the records so far.
var (
	suite   *stack.Stack
	binDir  string
	records recordReader
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	defer func() {
		if suite == nil {
			return
		}
		if err := suite.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot stop the stack:", err)
			code = 1
		}
	}()
	if err := start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(ctx context.Context) (err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return installNode(ctx) })
	group.Go(func() (err error) {
		if binDir, err = pgtest.BinDir(); err != nil {
			return err
		}
		if suite, err = stack.Start(ctx, stack.Options{Race: true}); err != nil {
			return err
		}
		records.dir = suite.Records()
		return prepare(ctx)
	})
	return group.Wait()
}

// prepare makes the suite's own tables and policies.
func prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, direct())
	if err != nil {
		return fmt.Errorf("cannot reach the target: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, labSQL).ReadAll(); err != nil {
		return fmt.Errorf("cannot make the suite's tables: %w", err)
	}
	if err := suite.Apply(ctx, policies); err != nil {
		return err
	}
	for _, policy := range []string{"developers", "people-masked", "builders", "benchmarkers"} {
		if err := suite.AwaitPolicy(ctx, stack.Connection, policy); err != nil {
			return err
		}
	}
	return nil
}

// direct is a connection string past the proxy, as the shared account.
func direct() string { return suite.Postgres.DSN(stack.Role, suite.Canary, stack.Database) }

// through is a connection string through the proxy, without a token.
func through() string { return suite.PSQL(suite.Proxy()) }

func program(name string) string { return filepath.Join(binDir, name) }
