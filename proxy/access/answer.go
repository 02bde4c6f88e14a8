// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/doorward/doorward/proxy/record"
)

// The values of spec.audit.responses beside None.
const (
	responsesDigest = "Digest"
	responsesMasked = "Masked"
)

// Answer collects what the record keeps of an answer, as the caller gets it:
// after masking. A nil Answer keeps nothing; all methods may be called on it.
// It is for one goroutine.
type Answer struct {
	hash  hash.Hash
	bytes int64
	// shows says that the text is kept, not only the digest.
	shows bool
	full  bool
	text  bytes.Buffer

	gapRows, gapBytes int64
}

func newAnswer(responses string) *Answer {
	switch responses {
	case responsesDigest, responsesMasked:
		return &Answer{hash: sha256.New(), shows: responses == responsesMasked}
	}
	return nil
}

// Content takes the next bytes of what the caller gets, for the digest.
func (a *Answer) Content(content []byte) {
	if a == nil {
		return
	}
	_, _ = a.hash.Write(content) // never fails
	a.bytes += int64(len(content))
}

// Room is how many bytes of text can still be shown; the protocol need not
// render what does not fit.
func (a *Answer) Room() int {
	if a == nil || !a.shows || a.full {
		return 0
	}
	return record.ResponseLimit - a.text.Len()
}

// Show takes the text form of the next row, or other part, whole.
func (a *Answer) Show(text []byte) {
	if a == nil || !a.shows {
		return
	}
	if len(text) > a.Room() {
		a.Skip(1, int64(len(text)))
		return
	}
	a.text.Write(text)
}

// Skip says that parts are not shown. What follows is not shown either, so that
// the text is the beginning of the answer without holes.
func (a *Answer) Skip(rows, size int64) {
	if a == nil || !a.shows {
		return
	}
	a.full = true
	a.gapRows += rows
	a.gapBytes += size
}

// result is what the record keeps; nil for a nil Answer.
func (a *Answer) result() *record.Response {
	if a == nil {
		return nil
	}
	return &record.Response{
		Digest: "sha256:" + hex.EncodeToString(a.hash.Sum(nil)), Bytes: a.bytes,
		Text: a.text.String(), GapRows: a.gapRows, GapBytes: a.gapBytes,
	}
}
