// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"fmt"
	"maps"
)

// Keys is a credential held in memory: the data of a Secret of type
// doorward.dev/credential. It is immutable and never prints.
type Keys struct {
	// A pointer, for the reason that Password gives.
	values *map[string][]byte
}

// NewKeys takes the data of a Secret.
func NewKeys(data map[string][]byte) Keys {
	values := maps.Clone(data)
	return Keys{values: &values}
}

// Get returns the credential where it names the use.
func (k Keys) Get(_ context.Context, use Use) (Secret, error) {
	for _, name := range [...]string{fileConnection, fileAddresses, fileUsername, filePassword} {
		if k.values == nil || len((*k.values)[name]) == 0 {
			return Secret{}, fmt.Errorf("cannot use credential: key %q is missing or empty: set it in the Secret", name)
		}
	}
	values := *k.values
	if err := permits(string(values[fileConnection]), string(values[fileAddresses]), use); err != nil {
		return Secret{}, err
	}
	return Secret{Username: string(values[fileUsername]), Password: NewPassword(string(values[filePassword]))}, nil
}

// String hides the credential.
func (Keys) String() string { return "[redacted]" }

// GoString hides the credential from %#v.
func (Keys) GoString() string { return "[redacted]" }

// Format hides the credential from every verb.
func (Keys) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("[redacted]")) }

// MarshalText hides the credential from encoders and loggers.
func (Keys) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
