// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"os"
	"testing"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// world is the stack that everything here runs on.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(stacktest.Run(m, &world, stack.Options{Quiet: true})) }
