// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"compress/gzip"
	"fmt"
)

// Compression is what a sink compresses what it sends with. Empty is None.
type Compression string

// The compressions.
const (
	None Compression = "None"
	Gzip Compression = "Gzip"
)

// Check returns an error for what is no Compression.
func (c Compression) Check() error {
	if c != "" && c != None && c != Gzip {
		return fmt.Errorf("compression is neither %q nor %q: %q", None, Gzip, string(c))
	}
	return nil
}

// Compress returns content as the Compression has it: the same form for the
// same content.
func (c Compression) Compress(content []byte) ([]byte, error) {
	if c != Gzip {
		return content, nil
	}
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
