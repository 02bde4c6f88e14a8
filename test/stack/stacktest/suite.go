// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stacktest is what suites on a running stack have in common: they start
// it for all their tests, wait for what must come, open sessions, and make
// objects and proxies that go away with their test.
package stacktest

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
	// StartTimeout bounds the start of everything, compilation with the race
	// detector included.
	StartTimeout = 15 * time.Minute
	// Timeout bounds whatever a test waits for: it only says when to give up.
	Timeout = 2 * time.Minute
)

// Run is the body of a TestMain: it starts a stack, stores it in world, has the
// suite prepare what is its own, runs the tests, and stops the stack. It returns
// the exit code, which is not zero either where one of the programs had a data
// race or panicked. What they keep is in DOORWARD_KEEP where that is set.
func Run(m *testing.M, world **stack.Stack, options stack.Options, prepare ...func(context.Context) error) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	log.SetLogger(logr.Discard())
	if options.Dir == "" {
		options.Dir = os.Getenv("DOORWARD_KEEP")
	}
	s, err := stack.Start(ctx, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*world = s
	for _, step := range prepare {
		if err = step(ctx); err != nil {
			break
		}
	}
	if err == nil {
		code = m.Run()
	}
	if err != nil || code != 0 {
		s.PrintLogs()
	}
	for _, last := range []error{err, s.NoRaces(), s.Stop()} {
		if last != nil {
			fmt.Fprintln(os.Stderr, last)
			code = 1
		}
	}
	return code
}

// Await asks until there is no error, and fails the test after Timeout. It
// returns how long it took.
func Await(t *testing.T, what string, ask func(context.Context) error) time.Duration {
	t.Helper()
	began := time.Now()
	// Cleanups wait too, after the test's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Timeout)
	defer cancel()
	if err := stack.Await(ctx, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return time.Since(began)
}

// Must fails the test where there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
