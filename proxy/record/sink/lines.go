// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"fmt"

	"github.com/doorward/doorward/proxy/record"
)

// AppendLine appends one record in the form that encode gives it (Native where
// nil) and a line feed. An error names the record.
func AppendLine(dst []byte, r record.Record, encode Encoder) ([]byte, error) {
	if encode == nil {
		encode = Native
	}
	start := len(dst)
	dst, err := encode(dst, r)
	if err != nil {
		return nil, fmt.Errorf("record cannot be encoded: %q: %w", r.Position.ID(), err)
	}
	if bytes.IndexByte(dst[start:], '\n') >= 0 {
		return nil, fmt.Errorf("record cannot be encoded: %q: its form is more than one line", r.Position.ID())
	}
	return append(dst, '\n'), nil
}
