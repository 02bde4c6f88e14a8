// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"
)

// Step is one named part of a reconciliation over a scope.
type Step[S any] struct {
	Name string
	Run  func(context.Context, *S) error
}

// Run runs the steps in order and stops at the first error, which it names.
func Run[S any](ctx context.Context, scope *S, steps ...Step[S]) error {
	for _, step := range steps {
		if err := step.Run(ctx, scope); err != nil {
			return fmt.Errorf("cannot %s: %w", step.Name, err)
		}
	}
	return nil
}
