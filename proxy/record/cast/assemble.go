// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/doorward/doorward/proxy/record"
)

// ErrDamaged is wrapped by the errors for recordings that are not as they were
// recorded.
var ErrDamaged = errors.New("recording damaged")

// Assembler puts the parts of one recording together, in the order of the log.
type Assembler struct {
	out      io.Writer
	id       string
	sequence int64
	digests  hash.Hash
	ended    bool
}

// NewAssembler writes a recording to out as its parts come.
func NewAssembler(id string, out io.Writer) *Assembler {
	return &Assembler{out: out, id: id, digests: sha256.New()}
}

// Part writes the next part after checking its digest and its number.
func (a *Assembler) Part(r *record.RecordingDocument) error {
	switch {
	case r.ID != a.id || r.Format != Format:
		return fmt.Errorf("%w: %q: a part of recording %q in the form %q", ErrDamaged, a.id, r.ID, r.Format)
	case a.ended:
		return fmt.Errorf("%w: %q: part %d comes after the end", ErrDamaged, a.id, r.Sequence)
	case r.Sequence != a.sequence:
		return fmt.Errorf("%w: %q: part %d where part %d must be: give all files of the log", ErrDamaged, a.id, r.Sequence, a.sequence)
	case Digest([]byte(r.Data)) != r.Digest:
		return fmt.Errorf("%w: %q: part %d does not match its digest", ErrDamaged, a.id, r.Sequence)
	}
	a.digests.Write([]byte(r.Digest + "\n"))
	a.sequence++
	_, err := io.WriteString(a.out, r.Data)
	return err
}

// End checks the recording's end against its parts.
func (a *Assembler) End(r *record.RecordingDocument) error {
	sum := "sha256:" + hex.EncodeToString(a.digests.Sum(nil))
	if a.ended || r.ID != a.id || r.Sequence != a.sequence || r.Digest != sum {
		return fmt.Errorf("%w: %q: its end is of %d parts, there are %d, or their digests differ", ErrDamaged, a.id, r.Sequence, a.sequence)
	}
	a.ended = true
	return nil
}

// Ended says whether the recording's end was there: one without was
// interrupted, or goes on.
func (a *Assembler) Ended() bool { return a.ended }

// Parts is the number of parts so far.
func (a *Assembler) Parts() int64 { return a.sequence }
