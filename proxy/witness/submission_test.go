// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

func sample() Submission {
	return Submission{
		Log: "00112233445566778899aabbccddeeff", Instance: "orders-0", Key: "key", Rotations: []string{"note\n"},
		Checkpoint: "note\n", From: 3, Proof: tlog.TreeProof{{1}, {2}},
	}
}

func TestSubmission(t *testing.T) {
	s := sample()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"log":"00112233445566778899aabbccddeeff","instance":"orders-0","key":"key","rotations":["note\n"],"checkpoint":"note\n",` +
		`"from":3,"proof":["AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	got, err := Decode(data)
	if diff := cmp.Diff(s, got); err != nil || diff != "" {
		t.Errorf("Decode: %v: -want, +got:\n%s", err, diff)
	}
	for name, bad := range map[string]string{
		"Unknown":  strings.Replace(want, `"from"`, `"form"`, 1),
		"Two":      want + want,
		"Log":      strings.Replace(want, "0011", "XX11", 1),
		"Instance": strings.Replace(want, "orders-0", "../x", 1),
		"NoKey":    strings.Replace(want, `"key":"key",`, "", 1),
		"From":     strings.Replace(want, `"from":3`, `"from":-3`, 1),
		"FromZero": strings.Replace(want, `"from":3`, `"from":0`, 1),
		"Hash":     strings.Replace(want, `"AQAA`, `"AQA`, 1),
		"Long":     want + strings.Repeat(" ", MaxSubmission),
		"Array":    "[]",
		"Empty":    "",
	} {
		if got, err := Decode([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
	s.Checkpoint = strings.Repeat("x", MaxSubmission)
	if _, err := s.Encode(); !errors.Is(err, ErrMalformed) {
		t.Errorf("Encode of too much: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	s := sample()
	data, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil {
			return // escapes may make it longer than what was read
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", data, again, err)
		}
		if twice, err := back.Encode(); err != nil || string(twice) != string(again) {
			t.Errorf("%q is written as %q, then as %q: %v", data, again, twice, err)
		}
	})
}
