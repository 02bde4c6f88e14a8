// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package review asks a running proxy what a caller may do, as people without any
// right in the cluster would, from the admin's YAML to what the plugin prints.
package review

import (
	"os"
	"testing"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// world is the stack that the tests use.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(stacktest.Run(m, &world, stack.Options{})) }
