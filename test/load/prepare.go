// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	_ "embed"

	"github.com/doorward/doorward/test/stack"
)

// LedgerSQL makes the tables that the load works on.
//
//go:embed ledger.sql
var LedgerSQL string

//go:embed policy.yaml
var policy string

// Group is that of the load's clients in a stack.
const Group = "loaders"

// Prepare makes in a stack what the load works on, and lets [Group] work on it.
func Prepare(ctx context.Context, world *stack.Stack) error {
	if err := world.ExecDirect(ctx, LedgerSQL); err != nil {
		return err
	}
	if err := world.Apply(ctx, policy); err != nil {
		return err
	}
	return world.AwaitPolicy(ctx, stack.Connection, "load")
}
