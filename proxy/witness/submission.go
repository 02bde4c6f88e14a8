// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package witness is what a proxy tells the witness of its log: the forms that
// both sides share.
package witness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/record/tree"
)

const (
	// MaxSubmission bounds the JSON of a Submission in bytes.
	MaxSubmission = 16 << 10
	// MaxRotations bounds the rotations a Submission carries. A witness that
	// has not seen older ones cannot follow the log's keys.
	MaxRotations = 16
	// maxProof is more hashes than the proof of any tree has.
	maxProof = 64
	// maxInstance bounds a proxy instance's name, as Kubernetes does.
	maxInstance = 253
)

// ErrMalformed is wrapped by the errors for bytes that are no Submission.
var ErrMalformed = errors.New("malformed submission")

// Submission is what one proxy instance tells the witness of its log: the
// latest checkpoint, and why it continues what the witness holds.
type Submission struct {
	// Log is the log's id, Instance the proxy's name.
	Log      string `json:"log"`
	Instance string `json:"instance"`
	// Key is the log's first key, a note verifier; its hash is the log's id.
	Key string `json:"key"`
	// Rotations are the signed statements that introduced the keys since, in
	// order; the last MaxRotations of them where there are more.
	Rotations []string `json:"rotations,omitempty"`
	// Checkpoint is the signed note of a tree.Checkpoint.
	Checkpoint string `json:"checkpoint"`
	// From is the number of records of the checkpoint that the witness holds,
	// 0 for none. Proof shows that it is the beginning of Checkpoint's tree
	// (RFC 6962, section 2.1.2), each hash in base64.
	From  int64          `json:"from"`
	Proof tlog.TreeProof `json:"proof,omitempty"`
}

// Encode returns the JSON form, on one line.
func (s *Submission) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSubmission {
		return nil, tooLarge(len(data))
	}
	return data, nil
}

func tooLarge(size int) error {
	return fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, size, MaxSubmission)
}

// Decode reads a Submission. It checks its form only: nothing in it is proven.
func Decode(data []byte) (Submission, error) {
	if len(data) > MaxSubmission {
		return Submission{}, tooLarge(len(data))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var s Submission
	if err := d.Decode(&s); err != nil {
		return Submission{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Submission{}, fmt.Errorf("%w: more than one value", ErrMalformed)
	}
	if err := s.check(); err != nil {
		return Submission{}, err
	}
	return s, nil
}

func (s *Submission) check() error {
	switch {
	case len(s.Log) != 32 || strings.Trim(s.Log, "0123456789abcdef") != "":
		return fmt.Errorf("%w: log id %q", ErrMalformed, s.Log)
	case s.Instance == "" || len(s.Instance) > maxInstance || strings.Trim(s.Instance, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "":
		return fmt.Errorf("%w: instance %q", ErrMalformed, s.Instance)
	case s.Key == "" || s.Checkpoint == "":
		return fmt.Errorf("%w: no key or no checkpoint", ErrMalformed)
	case s.From < 0 || s.From == 0 && len(s.Proof) > 0 || len(s.Proof) > maxProof:
		return fmt.Errorf("%w: proof of %d hashes from %d records", ErrMalformed, len(s.Proof), s.From)
	case len(s.Rotations) > MaxRotations:
		return fmt.Errorf("%w: %d key rotations, at most %d", ErrMalformed, len(s.Rotations), MaxRotations)
	}
	return nil
}

// Verify checks the checkpoint against keys of its log, and that it continues
// what the witness holds, which is zero where that is nothing. The keys must
// have followed the Submission's rotations.
func (s *Submission) Verify(keys *tree.Keys, held tlog.Tree) (tree.Checkpoint, error) {
	c, err := keys.Open(s.Checkpoint)
	if err != nil {
		return tree.Checkpoint{}, err
	}
	if s.From != held.N {
		return tree.Checkpoint{}, fmt.Errorf("proof is from %d records, %d are held", s.From, held.N)
	}
	return c, tree.Check(s.Proof, c.Tree(), held)
}
