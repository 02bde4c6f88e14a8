// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"
)

// TestPaces: each has its own, and there are never more than a bound, whoever comes.
func TestPaces(t *testing.T) {
	now := time.Unix(1800000000, 0)
	p := New[int](2, 4, 8)
	count := func(of, tries int) (n int) {
		for range tries {
			if p.Allow(of, now) {
				n++
			}
		}
		return n
	}
	if n, other := count(1, 100), count(2, 1); n != 4 || other != 1 {
		t.Errorf("%d of 100 went through, and %d of another; want the burst, and 1", n, other)
	}
	now = now.Add(time.Second)
	if n := count(1, 100); n != 2 {
		t.Errorf("%d of 100 a second later, want 2", n)
	}
	for of := range 1000 { // within a millisecond: none has its burst again
		now = now.Add(time.Microsecond)
		p.Allow(10+of, now)
		p.Allow(1, now)
		if len(p.all) > 8 {
			t.Fatalf("%d are kept, want at most 8", len(p.all))
		}
	}
	if count(1, 100) > 0 {
		t.Error("who asks all the time was forgotten for those who came by")
	}
	now = now.Add(time.Minute)
	p.Allow(9999, now)
	if len(p.all) != 1 {
		t.Errorf("%d are kept, of which all but one have their burst again", len(p.all))
	}
}

// TestReturn: what is given back does not count, and never makes more than the burst.
func TestReturn(t *testing.T) {
	now := time.Unix(1800000000, 0)
	p := New[int](1, 4, 8)
	for range 100 {
		if !p.Allow(1, now) {
			t.Fatal("what was given back counts")
		}
		p.Return(1, now)
	}
	p.Return(1, now)
	p.Return(2, now) // who never asked
	n := 0
	for p.Allow(1, now) {
		n++
	}
	if n != 4 || p.Len() != 1 {
		t.Errorf("%d went through at once, want the burst; %d are kept", n, p.Len())
	}
}
