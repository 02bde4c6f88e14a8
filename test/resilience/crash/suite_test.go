// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
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
	testTimeout = 60 * time.Second
	// spoolBytes makes segments of 8 MiB, so that kills also fall on the turns
	// from one to the next.
	spoolBytes = 64 << 20
)

// world is the stack that all tests use.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	log.SetLogger(logr.Discard())
	options := stack.Options{Dir: os.Getenv("DOORWARD_KEEP"), ProxyArgs: []string{"--spool-max-bytes=" + strconv.Itoa(spoolBytes)}}
	if dir := os.Getenv("DOORWARD_PROGRAMS"); dir != "" {
		options.Binaries = stack.Beside(filepath.Join(dir, "proxy"))
	}
	var err error
	if world, err = stack.Start(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	} else if code = m.Run(); code != 0 {
		world.PrintLogs()
	}
	if err := world.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot stop the stack:", err)
		code = 1
	}
	return code
}

// long says whether there is time for everything.
func long() bool { return os.Getenv("DOORWARD_LONG") == "1" }

// chance is a source of chance that DOORWARD_SEED repeats.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DOORWARD_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("cannot read DOORWARD_SEED: %v", err)
		}
	}
	t.Logf("the moments are those of DOORWARD_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
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
