// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

func TestSequence(t *testing.T) {
	whole := content(100_000)
	type part struct{ from, to int }
	at := func(base uint64, parts ...part) func(s *sequence) int64 {
		return func(s *sequence) int64 {
			var n int64
			for i, p := range parts {
				if i == 0 {
					s.begin(base)
				}
				s.add(base+uint64(p.from), whole[p.from:p.to])
				n += int64(p.to - p.from)
			}
			return n
		}
	}
	cases := map[string]struct {
		feed   func(s *sequence) int64
		digest string
		why    string
		reason string
	}{
		"InOrder":   {at(0, part{0, 10}, part{10, 50}, part{50, 100}), digestOf(whole[:100]), "", "one after the other"},
		"Resumed":   {at(7000, part{0, 10}, part{10, 50}), digestOf(whole[:50]), "", "from the offset of the first request"},
		"Reversed":  {at(0, part{50, 100}, part{10, 50}, part{0, 10}), digestOf(whole[:100]), "", "what is ahead is held"},
		"Joined":    {at(0, part{50, 60}, part{60, 70}, part{80, 90}, part{70, 80}, part{0, 50}), digestOf(whole[:90]), "", "what follows what is held is held with it"},
		"Twice":     {at(0, part{0, 10}, part{0, 10}), "", undigestedTwice, "the second may be other content"},
		"Overlap":   {at(0, part{0, 10}, part{5, 15}), "", undigestedTwice, "in part"},
		"HeldTwice": {at(0, part{20, 30}, part{20, 30}), "", undigestedTwice, "ahead of its turn"},
		"HeldOver":  {at(0, part{20, 30}, part{25, 35}), "", undigestedTwice, "ahead of its turn, in part"},
		"HeldUnder": {at(0, part{20, 30}, part{15, 25}), "", undigestedTwice, "ahead of its turn, from before"},
		"Reaches":   {at(0, part{20, 30}, part{0, 25}), "", undigestedTwice, "what was held comes again"},
		"Gap":       {at(0, part{0, 10}, part{20, 30}), "", undigestedGap, "something is missing"},
		"Empty":     {at(0, part{0, 0}), digestOf(nil), "", "asked for, and nothing came"},
		"Never":     {func(*sequence) int64 { return 0 }, "", "", "nothing was asked for"},
		"Missing":   {func(s *sequence) int64 { s.add(0, whole[:10]); return 5 }, "", undigestedFailed, "not all was acknowledged"},
		"Wraps":     {func(s *sequence) int64 { s.add(math.MaxUint64-4, whole[:10]); return 10 }, "", undigestedEnd, "beyond the last offset"},
		"TooMuch": {func(s *sequence) int64 {
			s.begin(0)
			n := int64(0)
			for i := uint64(1); i < 50; i++ {
				s.add(i*200_000, whole)
				n += int64(len(whole))
			}
			return n
		}, "", undigestedOrder, "what is held is bounded"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var held atomic.Int64
			s := &sequence{held: &held}
			got := s.transfer(c.feed(s))
			if got.Digest != c.digest || got.Undigested != c.why {
				t.Errorf("%s: %+v, want %q %q", c.reason, got, c.digest, c.why)
			}
			if held.Load() != 0 {
				t.Errorf("%d bytes are still held", held.Load())
			}
		})
	}
}

func TestSequenceAnyOrder(t *testing.T) {
	whole := content(60_000)
	for seed := range uint64(50) {
		source := rand.New(rand.NewPCG(seed, 1))
		var held atomic.Int64
		s := &sequence{held: &held}
		s.begin(0)
		var cuts [][2]int
		for at := 0; at < len(whole); {
			end := min(len(whole), at+1+source.IntN(3000))
			cuts = append(cuts, [2]int{at, end})
			at = end
		}
		source.Shuffle(len(cuts), func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
		for _, c := range cuts {
			s.add(uint64(c[0]), whole[c[0]:c[1]])
		}
		sum := sha256.Sum256(whole)
		if got := s.transfer(int64(len(whole))); got.Digest != digestOf(whole) || held.Load() != 0 {
			t.Fatalf("seed %d: %+v, want %x; %d held", seed, got, sum, held.Load())
		}
	}
}
