// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tutorial does on a running stack what docs/policy/tutorial.md tells admins to
// do, command by command, and runs the pipelines under docs/policy/ci.
package tutorial

import (
	"os"
	"testing"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// world is the stack that the tests use.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(stacktest.Run(m, &world, stack.Options{})) }
