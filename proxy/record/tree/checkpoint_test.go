// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// testKey is a note key of a log; its seed is one byte, repeated.
type testKey struct {
	signer   note.Signer
	verifier string
}

func newTestKey(tb testing.TB, logID string, seed byte) testKey {
	tb.Helper()
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		tb.Fatal("no ed25519 key")
	}
	if logID == "" {
		logID = LogID(public)
	}
	verifier, err := note.NewEd25519VerifierKey(Origin(logID), public)
	if err != nil {
		tb.Fatal(err)
	}
	parts := strings.SplitN(verifier, "+", 3)
	text := "PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{algorithmEd25519}, private.Seed()...))
	signer, err := note.NewSigner(text)
	if err != nil {
		tb.Fatal(err)
	}
	return testKey{signer, verifier}
}

func (k testKey) logID() string { return strings.TrimPrefix(k.signer.Name(), OriginPrefix) }

func (k testKey) checkpoint(size int64) Checkpoint {
	return Checkpoint{Origin: k.signer.Name(), Size: size, Root: leaf(1), Tail: leaf(2), Time: time.Unix(1800000000, 5).UTC()}
}

func TestCheckpointText(t *testing.T) {
	c := Checkpoint{
		Origin: Origin("00112233445566778899aabbccddeeff"), Size: 7, Root: leaf(1), Tail: leaf(2),
		Time: time.Unix(1800000000, 5).UTC(), Closed: true,
	}
	want := `doorward.dev/log/00112233445566778899aabbccddeeff
7
a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=
tail 1HNeOiZeFu7gP1lxi5tdAwGcB9i2xR+Q2jpmbuwTqzU=
time 2027-01-15T08:00:00.000000005Z
closed
`
	if diff := cmp.Diff(want, c.Text()); diff != "" {
		t.Fatalf("-want, +got:\n%s", diff)
	}
	got, err := Parse(want)
	if diff := cmp.Diff(c, got); err != nil || diff != "" {
		t.Errorf("Parse: %v: -want, +got:\n%s", err, diff)
	}
	for name, change := range map[string][2]string{
		"Origin":    {"doorward.dev/log/0", "doorward.dev/log/x"},
		"ShortID":   {"eeff\n", "ee\n"},
		"NoPrefix":  {"doorward.dev/log/", ""},
		"SizeZero":  {"\n7\n", "\n0\n"},
		"SizeForm":  {"\n7\n", "\n07\n"},
		"Negative":  {"\n7\n", "\n-7\n"},
		"Root":      {"a4ayc", "a4a"},
		"RootForm":  {"W0s=", "W0t="},
		"NoTail":    {"tail ", ""},
		"TailForm":  {"qzU=", "qzV="},
		"Zone":      {"05Z", "05+00:00"},
		"TimeForm":  {"000005Z", "0000050Z"},
		"Extension": {"closed", "open"},
		"More":      {"closed\n", "closed\nmore\n"},
		"Cut":       {"closed\n", "closed"},
	} {
		bad := strings.Replace(want, change[0], change[1], 1)
		if c, err := Parse(bad); err == nil || bad == want {
			t.Errorf("%s: read as %+v", name, c)
		}
	}
}

func TestSignAndOpen(t *testing.T) {
	own, other := newTestKey(t, "", 'a'), newTestKey(t, "", 'b')
	c := own.checkpoint(5)
	signed, err := c.Sign(own.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Sign(other.signer); err == nil {
		t.Error("another log's key signs")
	}
	forged, err := note.Sign(&note.Note{Text: c.Text()}, other.signer)
	if err != nil {
		t.Fatal(err)
	}
	both, err := note.Sign(&note.Note{Text: c.Text()}, own.signer, other.signer)
	if err != nil {
		t.Fatal(err)
	}
	verifiers := func(keys ...testKey) note.Verifiers {
		var all []note.Verifier
		for _, k := range keys {
			v, err := note.NewVerifier(k.verifier)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, v)
		}
		return note.VerifierList(all...)
	}
	if got, err := Open(signed, verifiers(own)); err != nil || got != c {
		t.Errorf("Open: %v, %+v", err, got)
	}
	if got, err := Open(string(both), verifiers(own)); err != nil || got != c {
		t.Errorf("Open of a countersigned one: %v, %+v", err, got)
	}
	for name, tc := range map[string]struct {
		reason    string
		signed    string
		verifiers note.Verifiers
	}{
		"Unknown":  {"nobody vouches", signed, verifiers(other)},
		"Foreign":  {"another log's key is not the log's", string(forged), verifiers(own, other)},
		"Changed":  {"the text is what was signed", strings.Replace(signed, "\n5\n", "\n6\n", 1), verifiers(own)},
		"Unsigned": {"a text is no note", c.Text(), verifiers(own)},
		"Long":     {"bounded", signed + strings.Repeat("x", maxNote), verifiers(own)},
	} {
		if _, err := Open(tc.signed, tc.verifiers); err == nil {
			t.Errorf("%s is opened: %s", name, tc.reason)
		}
	}
}

func rotate(tb testing.TB, from, to testKey, index int64) string {
	tb.Helper()
	r := KeyRotation{LogID: from.logID(), Index: index, Next: to.verifier}
	signed, err := r.Sign(from.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// TestKeys: a verifier that knows only a log's id follows its keys.
func TestKeys(t *testing.T) {
	first := newTestKey(t, "", 'a')
	id := first.logID()
	second, third, foreign := newTestKey(t, id, 'b'), newTestKey(t, id, 'c'), newTestKey(t, "", 'd')
	if _, err := NewKeys(id, second.verifier); err == nil {
		t.Error("a key that is not the first begins")
	}
	keys, err := NewKeys(id, first.verifier)
	if err != nil {
		t.Fatal(err)
	}
	early := keys.Clone()
	toSecond, toThird := rotate(t, first, second, 10), rotate(t, second, third, 20)
	if err := early.Follow(toThird); err == nil {
		t.Error("a rotation is left out")
	}
	for _, r := range []string{toSecond, toThird, toSecond} {
		if err := keys.Follow(r); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{first.verifier, second.verifier, third.verifier}, keys.Texts()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{toSecond, toThird}, keys.Rotations()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	for name, bad := range map[string]string{
		"Again":    rotate(t, third, second, 30),
		"Earlier":  rotate(t, third, newTestKey(t, id, 'e'), 20),
		"Old":      rotate(t, first, newTestKey(t, id, 'e'), 30),
		"Foreign":  rotate(t, foreign, newTestKey(t, foreign.logID(), 'e'), 30),
		"NotANote": "x",
		"Empty":    "",
	} {
		if err := keys.Clone().Follow(bad); err == nil {
			t.Errorf("%s is followed", name)
		}
	}
	for size, signers := range map[int64][3]bool{
		1: {true, false, false}, 10: {true, false, false}, 11: {false, true, false}, 20: {false, true, false}, 21: {false, false, true}, 1000: {false, false, true},
	} {
		for i, k := range []testKey{first, second, third} {
			c := k.checkpoint(size)
			signed, err := c.Sign(k.signer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Open(signed); (err == nil) != signers[i] {
				t.Errorf("checkpoint of %d records by key %d: %v", size, i, err)
			}
		}
	}
	c := foreign.checkpoint(1)
	signed, err := c.Sign(foreign.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(signed); err == nil {
		t.Error("another log's checkpoint is opened")
	}
}

func FuzzParse(f *testing.F) {
	k := newTestKey(f, "", 'a')
	c := k.checkpoint(5)
	f.Add(c.Text())
	c.Closed = true
	f.Add(c.Text())
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse(text); err == nil && c.Text() != text {
			t.Errorf("%q is written as %q", text, c.Text())
		}
	})
}

func FuzzParseKeyRotation(f *testing.F) {
	k := newTestKey(f, "", 'a')
	r := KeyRotation{LogID: k.logID(), Index: 3, Next: newTestKey(f, k.logID(), 'b').verifier}
	f.Add(r.Text())
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := ParseKeyRotation(text); err == nil && r.Text() != text {
			t.Errorf("%q is written as %q", text, r.Text())
		}
	})
}
