// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// spoolBytes makes segments of 8 MiB, so that kills also fall on the turns from
// one to the next.
const spoolBytes = 64 << 20

// world is the stack that all tests use.
var world *stack.Stack

// await is short for what every test does.
var await = stacktest.Await

func TestMain(m *testing.M) {
	options := stack.Options{ProxyArgs: []string{"--spool-max-bytes=" + strconv.Itoa(spoolBytes)}}
	if dir := os.Getenv("DOORWARD_PROGRAMS"); dir != "" {
		options.Binaries = stack.Beside(filepath.Join(dir, "proxy"))
	}
	os.Exit(stacktest.Run(m, &world, options, func(ctx context.Context) error { return load.Prepare(ctx, world) }))
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
