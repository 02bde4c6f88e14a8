// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operations does on a running stack what the pages under docs/operations
// tell admins to do, and shows what is felt of it: etcd is restored from an older
// backup, keys are lost, keys are rotated, while sessions run.
package operations

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/test/stack"
)

const (
	// startTimeout bounds the start of everything, compilation included.
	startTimeout = 15 * time.Minute
	// testTimeout bounds whatever a test waits for.
	testTimeout = 2 * time.Minute
	// drainTimeout of the proxies under test.
	drainTimeout = 6 * time.Second
)

// world is the stack that all tests use. A test that changes what all see
// restores it.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	log.SetLogger(logr.Discard())
	var err error
	if world, err = stack.Start(ctx, stack.Options{DrainTimeout: drainTimeout, Dir: os.Getenv("DOORWARD_KEEP")}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code = m.Run(); code != 0 {
		world.PrintLogs()
	}
	if err := world.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot stop the stack:", err)
		code = 1
	}
	return code
}

// await asks until there is no error, and fails the test after testTimeout. It
// returns how long it took.
func await(t *testing.T, what string, ask func(context.Context) error) time.Duration {
	t.Helper()
	began := time.Now()
	// Cleanups wait too, after the test's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testTimeout)
	defer cancel()
	if err := stack.Await(ctx, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return time.Since(began)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// short is a duration for people.
func short(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
