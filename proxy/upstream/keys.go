// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
)

// Keys is a credential held in memory: the data of a Secret of type
// doorward.dev/credential. It is immutable and never prints.
type Keys struct {
	redacted
	// A pointer, for the reason that Password gives.
	values *map[string][]byte
}

// NewKeys takes the data of a Secret. It shares nothing with the caller.
func NewKeys(data map[string][]byte) Keys {
	values := make(map[string][]byte, len(data))
	for name, value := range data {
		values[name] = slices.Clone(value)
	}
	return Keys{values: &values}
}

// Get returns the credential where it names the use.
func (k Keys) Get(ctx context.Context, use Use) (Secret, error) {
	if err := ctx.Err(); err != nil {
		return Secret{}, fmt.Errorf("cannot use credential: %w", err)
	}
	secret, err := assemble(func(name string) ([]byte, error) {
		if k.values != nil {
			if value, present := (*k.values)[name]; present {
				return value, nil
			}
		}
		return nil, fmt.Errorf("key is missing: %q: set it in the Secret: %w", name, fs.ErrNotExist)
	}, use)
	if err != nil {
		return Secret{}, fmt.Errorf("cannot use credential: %w", err)
	}
	return secret, nil
}
