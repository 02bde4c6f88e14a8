// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"
)

// What a manager remembers of modules, and how long it tries to compile one.
const (
	maxModules    = 1024
	moduleTimeout = 10 * time.Second
)

// moduleVerdict is what is known of a module.
type moduleVerdict struct {
	claims []string
	fault  error
}

// remembered compiles each module once: every Connection that a policy selects asks
// about the policy's, each time anything about it changes. Nil of nil.
func remembered(check func(context.Context, string) ([]string, error)) func(context.Context, string) ([]string, error) {
	if check == nil {
		return nil
	}
	var mu sync.Mutex // guards known
	known := map[[sha256.Size]byte]moduleVerdict{}
	return func(ctx context.Context, text string) ([]string, error) {
		sum := sha256.Sum256([]byte(text))
		mu.Lock()
		verdict, seen := known[sum]
		mu.Unlock()
		if seen {
			return slices.Clone(verdict.claims), verdict.fault
		}
		bounded, cancel := context.WithTimeout(ctx, moduleTimeout)
		defer cancel()
		verdict.claims, verdict.fault = check(bounded, text)
		if bounded.Err() != nil {
			return nil, fmt.Errorf("the module was not compiled within %s: %w", moduleTimeout, bounded.Err())
		}
		mu.Lock()
		defer mu.Unlock()
		if len(known) >= maxModules {
			clear(known)
		}
		known[sum] = verdict
		return slices.Clone(verdict.claims), verdict.fault
	}
}
