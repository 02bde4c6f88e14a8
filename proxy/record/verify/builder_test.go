// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/record/verify"
)

// began is the time of the first record of the logs of these tests.
var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// builder writes a log as a proxy does, without a disk.
type builder struct {
	tb       testing.TB
	id       string
	signer   note.Signer
	verifier string
	keys     []string
	turns    []string
	tree     tree.Range
	previous record.Hash
	// lines are the records, notes the checkpoints by size.
	lines [][]byte
	notes map[int64]string
}

func newBuilder(tb testing.TB) *builder {
	tb.Helper()
	b := &builder{tb: tb, notes: map[int64]string{}}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	b.id = tree.LogID(public)
	b.signer, b.verifier = b.newKey(public, private)
	b.keys = []string{b.verifier}
	return b
}

func (b *builder) newKey(public ed25519.PublicKey, private ed25519.PrivateKey) (note.Signer, string) {
	b.tb.Helper()
	verifier, err := note.NewEd25519VerifierKey(tree.Origin(b.id), public)
	if err != nil {
		b.tb.Fatal(err)
	}
	name, rest, _ := strings.Cut(verifier, "+")
	hash, _, _ := strings.Cut(rest, "+")
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, hash, base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))))
	if err != nil {
		b.tb.Fatal(err)
	}
	return signer, verifier
}

func (b *builder) size() int64 { return int64(len(b.lines)) }

func (b *builder) append(e record.Event) {
	e.Time = began.Add(time.Duration(len(b.lines)) * time.Millisecond)
	line := record.AppendJSON(nil, record.Position{LogID: b.id, Index: b.size()}, b.previous, &e)
	b.previous = record.LeafHash(line)
	b.tree.Append(b.previous)
	b.lines = append(b.lines, line)
}

// add appends operations.
func (b *builder) add(n int) {
	for range n {
		b.append(record.Event{
			Type: record.OperationDecided, Session: "s-1", OperationID: uint64(len(b.lines)),
			Operation: &record.Operation{Protocol: "postgres", Kind: "SELECT", Statement: fmt.Sprintf("SELECT %d", len(b.lines))},
			Decision:  &record.Decision{Effect: "Allow"},
		})
	}
}

func (b *builder) checkpoint(closed bool) {
	b.tb.Helper()
	root, err := b.tree.Root()
	if err != nil {
		b.tb.Fatal(err)
	}
	c := tree.Checkpoint{Origin: tree.Origin(b.id), Size: b.size(), Root: root, Tail: b.previous, Time: began.Add(time.Hour), Closed: closed}
	signed, err := c.Sign(b.signer)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.notes[c.Size] = signed
	b.append(record.Event{Type: record.Checkpoint, Checkpoint: &record.CheckpointNote{Size: c.Size, Note: signed, Key: b.verifier}})
}

func (b *builder) rotate() {
	b.tb.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.tb.Fatal(err)
	}
	signer, verifier := b.newKey(public, private)
	r := tree.KeyRotation{LogID: b.id, Index: b.size(), Next: verifier}
	signed, err := r.Sign(b.signer)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.append(record.Event{Type: record.KeyRotated, Rotation: &record.KeyRotation{Key: verifier, Note: signed}})
	b.signer, b.verifier = signer, verifier
	b.keys, b.turns = append(b.keys, verifier), append(b.turns, signed)
}

// copy is another process with the same key, at the same point.
func (b *builder) copy() *builder {
	c := *b
	c.tree = b.tree.Clone()
	c.lines = append([][]byte(nil), b.lines...)
	c.notes = map[int64]string{}
	for size, n := range b.notes {
		c.notes[size] = n
	}
	return &c
}

// trusted is what a witness holds of the log at a size.
func (b *builder) trusted(size int64) verify.Trusted {
	b.tb.Helper()
	if b.notes[size] == "" {
		b.tb.Fatalf("no checkpoint of size %d", size)
	}
	return verify.Trusted{Log: b.id, Note: b.notes[size], Keys: b.keys, Rotations: b.turns, Source: "the witness"}
}

// usual is a log of 100 records with checkpoints at 20, 41, 62 and 83, and a
// tail that no checkpoint covers.
func usual(tb testing.TB) *builder {
	tb.Helper()
	b := newBuilder(tb)
	for range 4 {
		b.add(20)
		b.checkpoint(false)
	}
	b.add(16)
	return b
}

// chain gives lines from an index on the hash of the line before, as one does
// who covers up a change.
func chain(b *builder, lines [][]byte, from int) [][]byte {
	out := append([][]byte(nil), lines...)
	for i := max(from, 1); i < len(out); i++ {
		was, err := record.Previous(out[i])
		if err != nil {
			b.tb.Fatal(err)
		}
		out[i] = bytes.Replace(out[i], []byte(was.String()), []byte(record.LeafHash(out[i-1]).String()), 1)
	}
	return out
}

// edit changes what a record says and keeps its size.
func edit(lines [][]byte, index int) [][]byte {
	out := append([][]byte(nil), lines...)
	out[index] = bytes.Replace(out[index], []byte("SELECT"), []byte("SELECt"), 1)
	return out
}

// renumber gives a record another index.
func renumber(line []byte, from, to int) []byte {
	return bytes.Replace(line, fmt.Appendf(nil, `"index":%d,`, from), fmt.Appendf(nil, `"index":%d,`, to), 1)
}

func write(tb testing.TB, dir, name string, lines [][]byte) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// newKeyFor makes a key of another log's name, which is not that log's.
func (b *builder) newKeyFor(id string) (note.Signer, string) {
	b.tb.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.tb.Fatal(err)
	}
	other := &builder{tb: b.tb, id: id}
	return other.newKey(public, private)
}
