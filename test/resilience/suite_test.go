// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"os"
	"testing"
	"time"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const (
	// defaultOutage is how long the API server stays away.
	defaultOutage = 20 * time.Second
	// drainTimeout of the proxy under test.
	drainTimeout = 6 * time.Second
)

// world is the stack that all tests use. A test that changes what all see
// restores it.
var world *stack.Stack

// await is short for what every test does.
var await = stacktest.Await

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &world, stack.Options{Race: true, DrainTimeout: drainTimeout}))
}

// within is how soon something must be felt. `make resilience` holds it; beside
// other suites, which starve the programs that run here under the race detector
// for seconds, the bound tells only what is felt from what is not.
func within(bound time.Duration) time.Duration {
	if os.Getenv("DOORWARD_LONG") == "1" {
		return bound
	}
	return max(bound, 30*time.Second)
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

// worst is the longest of what was measured.
func worst(all []time.Duration) time.Duration {
	var longest time.Duration
	for _, d := range all {
		longest = max(longest, d)
	}
	return longest
}
