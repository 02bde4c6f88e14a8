// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operations does on a running stack what the pages under docs/operations
// tell admins to do, and shows what is felt of it: etcd is restored from an older
// backup, keys are lost, keys are rotated, while sessions run.
package operations

import (
	"os"
	"testing"
	"time"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const (
	// testTimeout bounds whatever a test waits for.
	testTimeout = stacktest.Timeout
	// drainTimeout of the proxies under test.
	drainTimeout = 6 * time.Second
)

// world is the stack that all tests use. A test that changes what all see
// restores it.
var world *stack.Stack

// Short names of what every test does.
var (
	await = stacktest.Await
	must  = stacktest.Must
)

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &world, stack.Options{
		DrainTimeout: drainTimeout,
		ManagerArgs:  []string{"--proxy-image=doorward.invalid/proxy"}, // of Managed proxies, which nothing runs here
	}))
}

// short is a duration for people.
func short(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
