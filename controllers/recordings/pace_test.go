// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// TestJunkKeepsNobodyOut: checklist 38: what one sends from an address that all share,
// as behind a load balancer, keeps no reader out who was proven, and costs readers nothing.
func TestJunkKeepsNobodyOut(t *testing.T) {
	now := time.Unix(1800000000, 0)
	read := func(h *tries, token string) bool {
		one, may := h.begin("192.0.2.1", token, now)
		if may {
			h.end(one, true, now)
		}
		return may
	}
	junk := func(h *tries) (passed int) {
		for n := range 1000 {
			if one, may := h.begin("192.0.2.1", strconv.Itoa(n), now); may {
				passed++
				h.end(one, false, now)
			}
		}
		return passed
	}
	h := newTries()
	for n := range 4 * allTriesBurst {
		if !read(h, "of reader "+strconv.Itoa(n)) {
			t.Fatalf("reader %d is kept out by readers", n)
		}
	}
	if passed := junk(h); passed != triesBurst {
		t.Errorf("%d of 1000 of junk were tried, want the burst", passed)
	}
	if read(h, "of a new reader") {
		t.Error("the pace of the address does not hold")
	}
	if !read(h, "of reader 1") {
		t.Error("a reader who was proven a moment ago is kept out by junk")
	}
	passed := 0
	for range 1000 {
		if one, may := h.begin("192.0.2.1", "of reader 1", now); may {
			h.end(one, true, now)
			passed++
		}
	}
	if passed >= triesBurst {
		t.Errorf("a proven token is reviewed %d times at once", passed)
	}
	now = now.Add(provenFor)
	junk(h)
	if read(h, "of reader 2") {
		t.Error("a token passes that was proven long ago")
	}
}

// TestTriesOfAllComeBack: what readers of many addresses try does not count for all.
func TestTriesOfAllComeBack(t *testing.T) {
	now, h := time.Unix(1800000000, 0), newTries()
	for n := range 4 * allTriesBurst {
		one, may := h.begin(strconv.Itoa(n), strconv.Itoa(n), now)
		if !may {
			t.Fatalf("reader %d is kept out", n)
		}
		h.end(one, true, now)
	}
	one, _ := h.begin("a", "0", now)
	h.end(one, false, now) // it was revoked
	if _, there := h.proven[one.token]; there {
		t.Error("a token that is nobody's any more passes")
	}
}

// TestNoTokenIsNoTry: what is no token by its shape never comes to be counted.
func TestNoTokenIsNoTry(t *testing.T) {
	h := NewHandler(Options{})
	for _, given := range []string{"Bearer {}", "Bearer a b", "Bearer \"x\"", "Bearer é", "Bearer =", "Basic eDp4"} {
		for range 2 * triesBurst {
			r := httptest.NewRequest(http.MethodGet, "/v1/namespaces/shop/auditsessions/a/recording", http.NoBody)
			r.Header["Authorization"] = []string{given}
			if _, f := bearer(r); f == nil || f.code != http.StatusUnauthorized {
				t.Fatalf("%q passes: %+v", given, f)
			}
		}
	}
	if h.tries.hosts.Len() != 0 {
		t.Error("it was counted")
	}
	for _, token := range []string{"abcdef.0123456789abcdef", "eyJhbGciOiJub25lIn0.e30.", "a+b/c~d==", "x"} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "bearer "+token)
		if got, f := bearer(r); f != nil || got != token {
			t.Errorf("%q does not pass: %+v", token, f)
		}
	}
}

// TestReaders: one reads so many at a time, and no more.
func TestReaders(t *testing.T) {
	var r readers
	for _, next := range []struct {
		user string
		may  bool
	}{{"dora", true}, {"dora", true}, {"dora", false}, {"otto", true}} {
		if r.enter(next.user) != next.may {
			t.Errorf("%s: want %t", next.user, next.may)
		}
	}
	r.leave("dora")
	if !r.enter("dora") {
		t.Error("who has ended one cannot begin another")
	}
	r.leave("dora")
	r.leave("dora")
	r.leave("otto")
	if len(r.reads) != 0 {
		t.Errorf("kept: %v", r.reads)
	}
}

// TestPatience: who takes a byte now and then is cut, who is slow now and then is not.
func TestPatience(t *testing.T) {
	const part = 64 << 10
	// bytes that a reader gets until they are cut, at most a gigabyte.
	given := func(takes func(n int) time.Duration) (bytes int) {
		for left := patience(stallBound); bytes < 1<<30; bytes += part {
			d := takes(bytes)
			if d > left.taking(part) {
				return bytes
			}
			left = left.took(part, d)
		}
		return bytes
	}
	rate := func(perSecond int) time.Duration { return part * time.Second / time.Duration(perSecond) }
	cases := map[string]struct {
		takes func(n int) time.Duration
		whole bool
	}{
		"Steady": {func(int) time.Duration { return rate(2 * slowest) }, true},
		"Slow":   {func(int) time.Duration { return rate(slowest / 2) }, false},
		"AByte":  {func(int) time.Duration { return rate(1) }, false},
		"Pauses": {func(n int) time.Duration {
			if n%(100*part) == 0 {
				return stallBound / 2
			}
			return rate(1 << 20)
		}, true},
		"TooLong": {func(n int) time.Duration {
			if n == 1000*part {
				return 2 * stallBound
			}
			return 0
		}, false},
		"SavesNever": {func(n int) time.Duration {
			if n < 1000*part {
				return 0
			}
			return rate(slowest / 4)
		}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := given(tc.takes); (got >= 1<<30) != tc.whole {
				t.Errorf("%d bytes, whole: want %t", got, tc.whole)
			}
		})
	}
}
