// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/test/stack"
)

const (
	// startTimeout bounds the start of everything, compilation with the race
	// detector included.
	startTimeout = 15 * time.Minute
	// defaultOutage is how long the API server stays away.
	defaultOutage = 20 * time.Second
	// drainTimeout of the proxy under test.
	drainTimeout = 6 * time.Second
	// testTimeout bounds whatever a test waits for.
	testTimeout = 60 * time.Second
)

// promise is how soon revocation must be felt. `make resilience` holds it; beside
// other suites, which starve the programs that run here under the race detector
// for seconds, the bound tells only what is felt from what is not.
var promise = map[bool]time.Duration{true: time.Second, false: 5 * time.Second}[os.Getenv("DOORWARD_LONG") == "1"]

// world is the stack that all tests use. A test that changes what all see
// restores it.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	log.SetLogger(logr.Discard())
	var err error
	if world, err = stack.Start(ctx, stack.Options{Race: true, DrainTimeout: drainTimeout, Dir: os.Getenv("DOORWARD_KEEP")}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code = m.Run(); code != 0 {
		world.PrintLogs()
	}
	if err := noRaces(world.Logs()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := world.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot stop the stack:", err)
		code = 1
	}
	return code
}

// noRaces looks into what the programs printed: the race detector of a program
// that is killed does not change its exit status.
func noRaces(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot read the programs' logs: %w", err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return fmt.Errorf("cannot read the programs' logs: %w", err)
		}
		for _, word := range []string{"WARNING: DATA RACE", "panic: "} {
			if i := bytes.Index(content, []byte(word)); i >= 0 {
				return fmt.Errorf("%s: %.4000s", entry.Name(), content[i:])
			}
		}
	}
	return nil
}

// outage is how long the API server stays away.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("DOORWARD_OUTAGE")
	if text == "" {
		return defaultOutage
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("cannot read DOORWARD_OUTAGE: %v", err)
	}
	return d
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

// worst is the longest of what was measured.
func worst(all []time.Duration) time.Duration {
	var longest time.Duration
	for _, d := range all {
		longest = max(longest, d)
	}
	return longest
}
