// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

func newKey(t *testing.T) (note.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

// TestChain: who trusts one key trusts those that certificates connect with it,
// in both directions, and no others.
func TestChain(t *testing.T) {
	at := time.Unix(1800000000, 0)
	var chain Chain
	var signers []note.Signer // oldest first
	var old note.Signer
	for i := range 5 {
		if i == 2 {
			old = nil // the key before was lost
		}
		signer, verifier := newKey(t)
		var err error
		if chain, err = chain.Rotate(old, signer, verifier, at.AddDate(i, 0, 0)); err != nil {
			t.Fatal(err)
		}
		signers, old = append(signers, signer), signer
	}
	data, err := chain.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodeChain(data)
	if diff := cmp.Diff(chain, decoded); err != nil || diff != "" {
		t.Fatalf("%v: -want, +got:\n%s", err, diff)
	}
	trusts := func(c Chain, trusted int) (which []int) {
		t.Helper()
		verifiers, err := c.Verifiers(c[len(c)-1-trusted].Verifier)
		if err != nil {
			t.Fatal(err)
		}
		for i, signer := range signers {
			if _, err := verifiers.Verifier(signer.Name(), signer.KeyHash()); err == nil {
				which = append(which, i)
			}
		}
		return which
	}
	for trusted, want := range [][]int{{0, 1}, {0, 1}, {2, 3, 4}, {2, 3, 4}, {2, 3, 4}} {
		if diff := cmp.Diff(want, trusts(decoded, trusted)); diff != "" {
			t.Errorf("who trusts key %d: -want, +got:\n%s", trusted, diff)
		}
	}
	forged := append(Chain(nil), chain...)
	forged[0].Note = forged[1].Note
	if diff := cmp.Diff([]int{2, 3}, trusts(forged, 2)); diff != "" {
		t.Errorf("a note of other keys connects: -want, +got:\n%s", diff)
	}
	// The old key alone, which may be known to others by then, certifies nothing.
	alone, err := note.Sign(&note.Note{Text: rotationText(chain[1].Verifier, chain[0].Verifier)}, signers[3])
	if err != nil {
		t.Fatal(err)
	}
	forged[0].Note = string(alone)
	if diff := cmp.Diff([]int{2, 3}, trusts(forged, 2)); diff != "" {
		t.Errorf("half a certificate connects: -want, +got:\n%s", diff)
	}
	if _, err := chain.Verifiers("nobody"); err == nil {
		t.Error("a foreign key is trusted")
	}
	for _, bad := range []string{"", "[]", "{}", "[{]"} {
		if _, err := DecodeChain([]byte(bad)); err == nil {
			t.Errorf("DecodeChain(%q) is no error", bad)
		}
	}
}

func TestCertificate(t *testing.T) {
	signer, verifier := newKey(t)
	v, err := note.NewVerifier(verifier)
	if err != nil {
		t.Fatal(err)
	}
	c := Certificate{
		Log: "00112233445566778899aabbccddeeff", Key: "doorward.dev/log/00112233445566778899aabbccddeeff+1+AA==", Namespace: "shop", Connection: "orders",
		Instance: "orders-0", Time: time.Unix(1800000000, 5).UTC(),
	}
	signed, err := c.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenCertificate(signed, note.VerifierList(v))
	if diff := cmp.Diff(c, got); err != nil || diff != "" {
		t.Errorf("%v: -want, +got:\n%s", err, diff)
	}
	_, other := newKey(t)
	stranger, err := note.NewVerifier(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCertificate(signed, note.VerifierList(stranger)); err == nil {
		t.Error("a stranger's certificate is believed")
	}
	if _, err := OpenCertificate(strings.Replace(signed, "orders-0", "orders-1", 1), note.VerifierList(v)); err == nil {
		t.Error("a changed certificate is believed")
	}
	c.Instance = "two\nlines"
	if _, err := c.Sign(signer); err == nil {
		t.Error("a name of two lines is certified")
	}
}
