// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package availability

import (
	"os"
	"testing"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// maxStaleness of the Connection, in seconds: the least there may be.
const maxStaleness = 30

// world is the stack that all tests use.
var world *stack.Stack

// Short names of what every test does.
var (
	await = stacktest.Await
	must  = stacktest.Must
)

// alice is an analyst.
var alice = issuer.Request{User: "alice", Groups: []string{"analysts"}}

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &world, stack.Options{Race: true, LeaderElection: true, MaxStalenessSeconds: maxStaleness}))
}

// login opens a session through one proxy; it ends with the test.
func login(t *testing.T, p *stack.Proxy) *stacktest.Session {
	t.Helper()
	return stacktest.Login(t, world, p, alice)
}
