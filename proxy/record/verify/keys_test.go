// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

// rotated is a log whose key was replaced twice.
func rotated(tb testing.TB) *builder {
	tb.Helper()
	b := newBuilder(tb)
	b.add(10)
	b.checkpoint(false)
	b.rotate()
	b.add(10)
	b.checkpoint(false)
	b.add(5)
	b.rotate()
	b.add(10)
	b.checkpoint(true)
	return b
}

func TestRotation(t *testing.T) {
	b := rotated(t)
	old := *b
	r := run(t, verify.Options{}, write(t, t.TempDir(), "a", b.lines))
	if !r.OK || r.Logs[0].Keys != 3 || r.Logs[0].Consistent != b.size()-1 {
		t.Fatalf("report: %+v", r)
	}

	t.Run("OldKey", func(t *testing.T) {
		// The first key, long replaced, signs what comes after.
		c := newBuilder(t)
		c.add(10)
		c.checkpoint(false)
		first := c.signer
		c.rotate()
		c.add(5)
		c.signer = first
		c.checkpoint(false)
		r := run(t, verify.Options{}, write(t, t.TempDir(), "a", c.lines))
		want := []said{{verify.BadSignature, 17, 17, true}}
		if diff := cmp.Diff(want, findings(r)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("ForgedRotation", func(t *testing.T) {
		// Somebody without the key introduces one of their own.
		c := newBuilder(t)
		c.add(10)
		c.checkpoint(false)
		c.signer, _ = newBuilder(t).newKeyFor(c.id)
		c.rotate()
		c.add(5)
		c.checkpoint(false)
		r := run(t, verify.Options{}, write(t, t.TempDir(), "a", c.lines))
		want := []said{{verify.BadSignature, 11, 11, true}, {verify.BadSignature, 17, 17, true}}
		if diff := cmp.Diff(want, findings(r)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("LatePart", func(t *testing.T) {
		// Behind the rotations nothing proves the keys but the witness.
		lines := old.lines[30:]
		path := write(t, t.TempDir(), "a", lines)
		if r := run(t, verify.Options{From: 30}, path); r.OK || r.Logs[0].Findings[0].Verdict != verify.Unsigned {
			t.Errorf("without the keys: %+v", r)
		}
		if r := run(t, verify.Options{From: 30, Trusted: []verify.Trusted{b.trusted(b.size() - 1)}}, path); !r.OK {
			t.Errorf("with the witness's keys: %+v", r)
		}
		if r := run(t, verify.Options{From: 30, Trusted: []verify.Trusted{b.trusted(10)}}, path); !r.OK || !strings.Contains(r.Logs[0].Summary, "not excluded, as the trusted checkpoints are of") {
			t.Errorf("with a checkpoint of what comes before: %+v", r)
		}
	})
}

func TestSeveralLogs(t *testing.T) {
	a, b := usual(t), rotated(t)
	mixed := [][]byte{}
	for i := range max(len(a.lines), len(b.lines)) {
		if i < len(a.lines) {
			mixed = append(mixed, a.lines[i])
		}
		if i < len(b.lines) {
			mixed = append(mixed, []byte("something else"), b.lines[i])
		}
	}
	path := write(t, t.TempDir(), "mixed", mixed)
	r := run(t, verify.Options{}, path)
	if !r.OK || len(r.Logs) != 2 {
		t.Fatalf("report: %+v", r)
	}
	other := newBuilder(t)
	other.add(3)
	other.checkpoint(false)
	trusted := []verify.Trusted{a.trusted(83), other.trusted(3)}
	if r := run(t, verify.Options{Trusted: trusted}, path); !r.OK || !slices.Equal(r.Absent, []string{other.id}) {
		t.Errorf("a log that is not here: %+v", r)
	}
	if r := run(t, verify.Options{Trusted: trusted, RequireAll: true}, path); r.OK {
		t.Errorf("a log that must be here: %+v", r)
	}
}

func TestWitnessKey(t *testing.T) {
	b := usual(t)
	path := write(t, t.TempDir(), "a", b.lines)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewEd25519VerifierKey("doorward.dev/witness", public)
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(verifier, "+")[1]
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+doorward.dev/witness+%s+%s", hash, base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))))
	if err != nil {
		t.Fatal(err)
	}
	trusted := b.trusted(83)
	witness, err := note.NewVerifier(verifier)
	if err != nil {
		t.Fatal(err)
	}
	options := verify.Options{Trusted: []verify.Trusted{trusted}, Witness: note.VerifierList(witness)}
	if _, err := verify.Verify(t.Context(), []string{path}, options); !errors.Is(err, verify.ErrTrust) {
		t.Errorf("a checkpoint that no witness signed: %v", err)
	}
	signed, err := note.Sign(&note.Note{Text: strings.SplitAfter(trusted.Note, "\n\n")[0][:strings.Index(trusted.Note, "\n\n")+1]}, signer)
	if err != nil {
		t.Fatal(err)
	}
	options.Trusted[0].Note += string(signed[bytes.LastIndex(signed, []byte("\u2014")):])
	if r := run(t, options, path); !r.OK || !r.Logs[0].Witnessed || r.Logs[0].Trusted != 83 {
		t.Errorf("report: %+v", r)
	}
	options.Trusted[0].Note = strings.Replace(trusted.Note, "\n83\n", "\n84\n", 1)
	options.Witness = nil
	if _, err := verify.Verify(t.Context(), []string{path}, options); !errors.Is(err, verify.ErrTrust) {
		t.Errorf("a checkpoint that was changed: %v", err)
	}
}

func TestNames(t *testing.T) {
	b := usual(t)
	name := func(first int64) string { return fmt.Sprintf("%s-%020d.jsonl", b.id, first) }
	dir := t.TempDir()
	write(t, dir, name(0), b.lines[:50])
	write(t, dir, name(50), b.lines[50:])
	if r := run(t, verify.Options{}, dir); !r.OK {
		t.Errorf("files of a sink: %+v", r)
	}
	dir = t.TempDir()
	write(t, dir, name(0), b.lines[40:])
	write(t, dir, name(50), b.lines[:40])
	r := run(t, verify.Options{}, dir)
	want := []said{{verify.Reordered, 0, 50, true}, {verify.Reordered, 0, 40, true}}
	if diff := cmp.Diff(want, findings(r)); diff != "" {
		t.Errorf("files that exchanged their names: -want +got:\n%s", diff)
	}
}

// TestAnyOrder: what several partitions give is fine where that is said.
func TestAnyOrder(t *testing.T) {
	b := usual(t)
	var lines [][]byte
	for part := range 3 {
		for i := part; i < len(b.lines); i += 3 {
			lines = append(lines, b.lines[i])
		}
	}
	path := write(t, t.TempDir(), "kafka", lines)
	if r := run(t, verify.Options{}, path); r.OK || r.Logs[0].Findings[0].Verdict != verify.Reordered {
		t.Errorf("report: %+v", r)
	}
	if r := run(t, verify.Options{AnyOrder: true}, path); !r.OK {
		t.Errorf("report: %+v", r)
	}
}

// TestRead: each record once, in order, whatever the files look like.
func TestRead(t *testing.T) {
	b := usual(t)
	dir := t.TempDir()
	write(t, dir, "b", b.lines[:60])
	write(t, dir, "a", b.lines[40:])
	var got [][]byte
	problems, err := verify.Read(t.Context(), []string{dir}, verify.ReadOptions{TempDir: t.TempDir()}, func(r record.Record) error {
		got = append(got, r.JSON)
		return nil
	})
	if err != nil || len(problems) > 0 || !slices.EqualFunc(got, b.lines, bytes.Equal) {
		t.Errorf("%d records, problems %v: %v", len(got), problems, err)
	}
}
