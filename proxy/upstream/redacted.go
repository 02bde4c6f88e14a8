// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import "fmt"

// redacted, embedded, hides a value from every formatter, encoder and logger.
type redacted struct{}

// String hides the value.
func (redacted) String() string { return "[redacted]" }

// GoString hides the value from %#v.
func (redacted) GoString() string { return "[redacted]" }

// Format hides the value from every verb, also %x and %d.
func (redacted) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("[redacted]")) }

// MarshalText hides the value from encoders and loggers.
func (redacted) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
