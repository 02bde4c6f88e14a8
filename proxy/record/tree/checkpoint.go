// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// OriginPrefix is what the origin of a checkpoint, which is also the name of
// the keys that sign it, has before the log's id.
const OriginPrefix = "doorward.dev/log/"

// Origin is the origin of a log's checkpoints.
func Origin(logID string) string { return OriginPrefix + logID }

// maxNote bounds a signed note of this package in bytes, with as many
// signatures as witnesses may add.
const maxNote = 8 << 10

// Checkpoint is a log's word on its first Size records. Its text is that of
// C2SP tlog-checkpoint (origin, size, root hash) with the extension lines
// `tail`, `time` and, in the last of an orderly end, `closed`.
type Checkpoint struct {
	// Origin is Origin of the log's id.
	Origin string
	// Size is the number of records covered, at least 1.
	Size int64
	// Root is the root hash of the tree of these records.
	Root Hash
	// Tail is the leaf hash of record Size-1, from which the chain of the
	// records' previous hashes can be walked back.
	Tail Hash
	// Time is when it was made, by the clock of who made it, in UTC.
	Time time.Time
	// Closed says that the log was closed in order after these records.
	Closed bool
}

// LogID is the id of the log.
func (c *Checkpoint) LogID() string { return strings.TrimPrefix(c.Origin, OriginPrefix) }

// Tree is what the checkpoint says of the tree.
func (c *Checkpoint) Tree() tlog.Tree { return tlog.Tree{N: c.Size, Hash: c.Root} }

// Text is what is signed.
func (c *Checkpoint) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\ntail %s\ntime %s\n", c.Origin, c.Size, c.Root, c.Tail, c.Time.UTC().Format(time.RFC3339Nano))
	if c.Closed {
		b.WriteString("closed\n")
	}
	return b.String()
}

// Parse reads a text, and only one that Text would write.
func Parse(text string) (Checkpoint, error) {
	if len(text) > maxNote {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: %d bytes, at most %d", ErrMalformed, len(text), maxNote)
	}
	lines := strings.Split(text, "\n")
	closed := len(lines) == 7 && lines[5] == "closed"
	if len(lines) != 6 && !closed || lines[len(lines)-1] != "" {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: not the lines origin, size, root, tail, time and at most closed", ErrMalformed)
	}
	c := Checkpoint{Origin: lines[0], Closed: closed}
	if err := checkID(c.LogID()); err != nil || !strings.HasPrefix(c.Origin, OriginPrefix) {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: origin %q", ErrMalformed, c.Origin)
	}
	var err error
	if c.Size, err = parseSize(lines[1]); err != nil {
		return Checkpoint{}, err
	}
	if c.Size == 0 {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: of no records", ErrMalformed)
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: root %q", ErrMalformed, lines[2])
	}
	tail, ok := strings.CutPrefix(lines[3], "tail ")
	if c.Tail, err = tlog.ParseHash(tail); !ok || err != nil {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: tail %q", ErrMalformed, lines[3])
	}
	at, ok := strings.CutPrefix(lines[4], "time ")
	if c.Time, err = time.Parse(time.RFC3339Nano, at); !ok || err != nil {
		return Checkpoint{}, fmt.Errorf("%w checkpoint: time %q", ErrMalformed, lines[4])
	}
	c.Time = c.Time.UTC()
	if c.Text() != text { // one form for each hash and time
		return Checkpoint{}, fmt.Errorf("%w checkpoint: hash or time not in its usual form", ErrMalformed)
	}
	return c, nil
}

// Sign returns the checkpoint as a note signed by a log's key.
func (c *Checkpoint) Sign(signer note.Signer) (string, error) {
	if signer.Name() != c.Origin {
		return "", fmt.Errorf("cannot sign checkpoint: key %q is not one of %q", signer.Name(), c.Origin)
	}
	text := c.Text()
	if _, err := Parse(text); err != nil {
		return "", fmt.Errorf("cannot sign checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	return string(signed), err
}

// Open reads a signed checkpoint of which at least one signature must be by a
// key of its own log among the verifiers, and none of a known key wrong.
// Signatures of keys that are not among the verifiers are passed over.
func Open(signed string, verifiers note.Verifiers) (Checkpoint, error) {
	n, err := openNote("checkpoint", signed, verifiers)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := Parse(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, s := range n.Sigs {
		if s.Name == c.Origin {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("checkpoint not signed by its log: %q", c.Origin)
}

// openNote opens a note. The text of a note that is not properly signed is
// not to be relied on, so it is not returned.
func openNote(what, signed string, verifiers note.Verifiers) (*note.Note, error) {
	if len(signed) > maxNote {
		return nil, fmt.Errorf("%w %s: %d bytes, at most %d", ErrMalformed, what, len(signed), maxNote)
	}
	n, err := note.Open([]byte(signed), verifiers)
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return nil, fmt.Errorf("%s not signed by an expected key: its first line is %s", what, strconv.QuoteToASCII(firstLine(unverified.Note.Text)))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return n, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line[:min(len(line), 200)]
}

// checkID says whether a string is a log id: 16 bytes in lower-case hex.
func checkID(id string) error {
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("%w log id: %q", ErrMalformed, id)
	}
	return nil
}
