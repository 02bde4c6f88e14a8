// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/witness"
)

// Fake is a proxy's log as its witness sees it.
type Fake struct {
	t        *testing.T
	Instance string
	Keys     *tree.Keys
	signer   note.Signer
	leaves   []tree.Hash
	clock    time.Time
}

// NewFake begins a log.
func NewFake(t *testing.T, instance string) *Fake {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id := tree.LogID(public)
	signer, verifier := logKey(t, id, private)
	keys, err := tree.NewKeys(id, verifier)
	if err != nil {
		t.Fatal(err)
	}
	return &Fake{t: t, Instance: instance, Keys: keys, signer: signer, clock: time.Unix(1800000000, 0).UTC()}
}

func logKey(t *testing.T, id string, private ed25519.PrivateKey) (note.Signer, string) {
	t.Helper()
	verifier, err := note.NewEd25519VerifierKey(tree.Origin(id), private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(verifier, "+", 3)
	seed := base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" + seed)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

// ID is the log's id.
func (f *Fake) ID() string { return f.Keys.LogID() }

// Copy is the log's directory, copied.
func (f *Fake) Copy() *Fake {
	c := *f
	c.leaves, c.Keys = append([]tree.Hash(nil), f.leaves...), f.Keys.Clone()
	return &c
}

// Grow writes records, of which the text makes the content.
func (f *Fake) Grow(n int, text string) *Fake {
	for range n {
		f.leaves = append(f.leaves, tlog.RecordHash([]byte(fmt.Sprint(text, len(f.leaves)))))
	}
	f.clock = f.clock.Add(time.Second)
	return f
}

// Rotate writes a KeyRotated record and goes on with the next key.
func (f *Fake) Rotate() *Fake {
	f.t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	next, verifier := logKey(f.t, f.ID(), private)
	r := tree.KeyRotation{LogID: f.ID(), Index: int64(len(f.leaves)), Next: verifier}
	signed, err := r.Sign(f.signer)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Grow(1, "rotation")
	if err := f.Keys.Follow(signed); err != nil {
		f.t.Fatal(err)
	}
	f.signer = next
	return f
}

func (f *Fake) ranges(at int) (old, since tree.Range) {
	since = tree.NewRange(int64(at))
	for i, leaf := range f.leaves {
		if i < at {
			old.Append(leaf)
		} else {
			since.Append(leaf)
		}
	}
	return old, since
}

// Show is what an honest proxy submits to a witness that holds a number of records.
func (f *Fake) Show(from int) witness.Submission { return f.show(from, false) }

// Close is the same, of a log that was closed in order.
func (f *Fake) Close(from int) witness.Submission { return f.show(from, true) }

func (f *Fake) show(from int, closed bool) witness.Submission {
	f.t.Helper()
	whole, _ := f.ranges(len(f.leaves))
	root, err := whole.Root()
	if err != nil {
		f.t.Fatal(err)
	}
	c := tree.Checkpoint{
		Origin: tree.Origin(f.ID()), Size: whole.End(), Root: root, Tail: f.leaves[len(f.leaves)-1], Time: f.clock, Closed: closed,
	}
	signed, err := c.Sign(f.signer)
	if err != nil {
		f.t.Fatal(err)
	}
	s := witness.Submission{
		Log: f.ID(), Instance: f.Instance, Key: f.Keys.First(), Rotations: f.Keys.Rotations(), Checkpoint: signed, From: int64(from),
	}
	if from > 0 && from <= len(f.leaves) {
		old, since := f.ranges(from)
		if s.Proof, err = tree.Prove(&old, &since); err != nil {
			f.t.Fatal(err)
		}
	}
	return s
}

// Forge is a checkpoint of this log signed by a key of the forger's own, under
// the log's name.
func (f *Fake) Forge(from int) witness.Submission {
	f.t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	forged := f.Copy()
	forged.signer, _ = logKey(f.t, f.ID(), private)
	return forged.Show(from)
}

// FakeID is an id that no log has.
func FakeID() string { return hex.EncodeToString(make([]byte, 16)) }

// SetClock returns a function that sets the hours since now.
func (k *Keys) SetClock() (set func(hours int)) {
	start := time.Now()
	var since time.Duration
	k.now = func() time.Time { return start.Add(since) }
	return func(hours int) { since = time.Duration(hours) * time.Hour }
}
