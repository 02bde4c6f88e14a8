// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"strings"
)

// Recording is a part of a recording, or, without Data, its end.
type Recording struct {
	// ID is unique within the session.
	ID string
	// Format is the form of the data, such as "asciicast/v2".
	Format string
	// Sequence numbers the parts from 0; for the end, it is their number.
	Sequence int64
	// Digest is the SHA-256 of Data, "sha256:<hex>"; for the end, that of the
	// digests of all parts, one to a line.
	Digest string
	// Data is the part itself. It is written as it is, and must be printable
	// ASCII and line feeds. Empty at the end.
	Data string
}

// recordingID is the greatest length of a recording's id in bytes.
const recordingID = 128

// Type is that of the record of a part, or of the end.
func (r *Recording) Type() Type {
	if r.Data == "" {
		return RecordingEnd
	}
	return RecordingChunk
}

// Check says why a record cannot hold a part as it is, or nil. Sequence and Digest are for
// whoever puts the parts together.
func (r *Recording) Check() error {
	switch {
	case r.ID == "" || r.Format == "" || r.Digest == "":
		return fmt.Errorf("a part of a recording needs an id, a format and a digest: id %q, format %q", r.ID, r.Format)
	case len(r.ID) > recordingID || strings.ContainsFunc(r.ID, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("the id of a recording is at most %d bytes of printable ASCII without blanks: %q", recordingID, r.ID)
	}
	for i := range len(r.Data) {
		if c := r.Data[i]; (c < ' ' || c > '~') && c != '\n' {
			return fmt.Errorf("byte %d of a recording's part is 0x%02x: neither printable ASCII nor a line feed", i, c)
		}
	}
	return nil
}
