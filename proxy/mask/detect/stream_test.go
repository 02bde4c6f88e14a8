// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// pieces are what texts of near findings are made of.
func pieces() []string {
	list := []string{
		" ", "\n", ".", ",", "-", "--", "-----", ":", "::", "+", "(", ")", "@", "%40", "%4", "_", "/", "=", "\"", "\u00a0", "\xc2", "\xff", "é", "x", "1", "12", "123", "1234",
		"4111", "1111", "4111111111111111", "555", "0100", "212", "030", "fe80", "dead", "10.0.0.1", "255", "DE89", "3704", "eyJ", "eyJhbGciOiJIUzI1NiJ9", "AKIA", "IOSFODNN7EXAMPLE",
		"ghp_", "sig=", "AccountKey=", "private_key", "private_key_id", "example.com", "alice", ".com", "-----BEGIN ", "PRIVATE KEY", "-----END ", keyBody[:64], "PuTTY-User-Key-File-2: ", "Private-MAC: ", "00ff",
		"aws_secret_access_key", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst",
	}
	for _, texts := range found {
		for _, text := range texts {
			list = append(list, unmark.Replace(text))
		}
	}
	return list
}

func randomText(random *rand.Rand, list []string) []byte {
	var text []byte
	for range 1 + random.IntN(12) {
		text = append(text, list[random.IntN(len(list))]...)
	}
	return text
}

// stream gives a text to a Scanner in chunks of the sizes that next returns.
func stream(tb testing.TB, set *Set, text []byte, next func() int) []byte {
	tb.Helper()
	scanner := set.Scanner()
	var out []byte
	for rest := text; len(rest) > 0; {
		size := min(next(), len(rest))
		// The chunk's memory is the caller's own again afterwards.
		chunk := bytes.Clone(rest[:size])
		out = scanner.Append(out, chunk)
		clear(chunk)
		rest = rest[size:]
		if held := len(scanner.buf); held > MaxHeld+lookBack {
			tb.Fatalf("holds %d bytes of %q", held, text)
		}
	}
	return scanner.Flush(out)
}

// TestChunks: however a text is cut, what comes out is what Append gives.
func TestChunks(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	list := pieces()
	rounds := 6000
	if testing.Short() {
		rounds = 1000
	}
	for range rounds {
		text := randomText(random, list)
		want, _, _ := everyDetector.Append(nil, text)
		for _, most := range []int{1, 3, 40} {
			got := stream(t, everyDetector, text, func() int { return 1 + random.IntN(most) })
			if !bytes.Equal(got, want) {
				t.Fatalf("chunks up to %d of %q:\n got %q\nwant %q", most, text, got, want)
			}
		}
	}
}

// check holds what is promised for every text.
func check(tb testing.TB, text []byte) {
	tb.Helper()
	out, n, null := everyDetector.Append(nil, text)
	if null {
		tb.Fatalf("NULL without a rule that says so: %q", text)
	}
	if utf8.Valid(text) && !utf8.Valid(out) {
		tb.Fatalf("not UTF-8 any more: %q became %q", text, out)
	}
	if n == 0 && !bytes.Equal(out, text) {
		tb.Fatalf("changed without a finding: %q became %q", text, out)
	}
	// What stands outside of findings is unchanged: with findings kept, the
	// text is the same.
	same := make([]Rule, 0, count)
	for _, d := range Detectors() {
		same = append(same, Rule{Detector: d, Replace: func(dst, finding []byte) []byte {
			if len(finding) == 0 || len(finding) > MaxFinding {
				tb.Fatalf("a finding of %d bytes", len(finding))
			}
			return append(dst, finding...)
		}})
	}
	if kept, _, _ := New(same...).Append(nil, text); len(text) <= MaxFinding && !bytes.Equal(kept, text) {
		tb.Fatalf("%q became %q with its findings kept", text, kept)
	}
}

func TestProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 6))
	list := pieces()
	for range 10000 {
		check(t, randomText(random, list))
	}
}

func FuzzAppend(f *testing.F) {
	for _, text := range pieces() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { check(t, text) })
}

func FuzzChunks(f *testing.F) {
	for i, text := range pieces() {
		f.Add([]byte(text), uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		want, _, _ := everyDetector.Append(nil, text)
		got := stream(t, everyDetector, text, func() int { return 1 + random.IntN(1+int(seed%64)) })
		if !bytes.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}

// TestPause: what is held back is let go as a text of its own, and what a finding goes on with is not.
func TestPause(t *testing.T) {
	set := New(Rule{Detector: IBAN}, Rule{Detector: Email}, Rule{Detector: JWT})
	scanner := set.Scanner()
	out := scanner.Append(nil, []byte("to alice"))
	if string(out) != "to " {
		t.Errorf("shown %q", out)
	}
	if out = scanner.Pause(out); string(out) != "to alice" {
		t.Errorf("after a pause %q", out)
	}
	out = scanner.Append(out[:0], []byte(" and bob@example.com"))
	if out = scanner.Pause(out); string(out) != " and [masked]" || scanner.Found() != 1 || scanner.Rules() != 2 {
		t.Errorf("after another %q, %d found by %b", out, scanner.Found(), scanner.Rules())
	}
	token := append([]byte("eyJhbGciOiJIUzI1NiJ9."), bytes.Repeat([]byte("a"), 2*MaxFinding)...)
	out = scanner.Pause(scanner.Append(out[:0], token))
	out = scanner.Append(out, []byte("aaaa.aaaa now"))
	if out = scanner.Flush(out); string(out) != "[masked] now" {
		t.Errorf("a token that goes on %.80q", out)
	}
	hidden := New(Rule{Detector: "New"}).Scanner()
	if out = hidden.Flush(hidden.Pause(hidden.Append(nil, []byte("x")))); string(out) != "[masked]" || hidden.Rules() != 1 {
		t.Errorf("a detector that is not known shows %q", out)
	}
}
