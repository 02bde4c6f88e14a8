// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import "github.com/doorward/doorward/proxy/record"

// Encoder appends the form in which a destination gets one record: one line of
// JSON without its line feed.
type Encoder func(dst []byte, r record.Record) ([]byte, error)

// Native is the Encoder of the record's own JSON, byte for byte.
func Native(dst []byte, r record.Record) ([]byte, error) { return append(dst, r.JSON...), nil }
