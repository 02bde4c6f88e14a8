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

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

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

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &suite, stack.Options{Race: true}, prepare, installNode))
}

// prepare makes the suite's own tables and policies.
func prepare(ctx context.Context) (err error) {
	records.dir = suite.Records()
	if binDir, err = pgtest.BinDir(); err != nil {
		return err
	}
	if err := suite.ExecDirect(ctx, labSQL); err != nil {
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
func direct() string { return suite.DirectDSN() }

// through is a connection string through the proxy, without a token.
func through() string { return suite.PSQL(suite.Proxy()) }

func program(name string) string { return filepath.Join(binDir, name) }
