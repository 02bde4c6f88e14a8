// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// step is something that happens to one proof.
type step struct {
	after  time.Duration
	from   string // a use from there; empty for the end of a session
	opens  string // the session that it becomes
	leaves string
	bound  bool
	want   []string // networks of the finding; nil for none
}

func TestFindings(t *testing.T) {
	cases := map[string]struct {
		reason   string
		steps    []step
		sessions []string // of the last finding
		shared   bool
	}{
		"OnePlace": {
			reason: "one client has many sessions, and several addresses of its network",
			steps:  []step{{from: "192.0.2.7", opens: "a"}, {from: "192.0.2.7", opens: "b"}, {from: "192.0.2.99", opens: "c"}},
		},
		"Overlap": {
			reason:   "two networks at a time are a finding, however long ago the first began",
			steps:    []step{{from: "192.0.2.7", opens: "a"}, {after: 5 * time.Hour, from: "198.51.100.7", want: []string{"192.0.2.0/24", "198.51.100.0/24"}}},
			sessions: []string{"a"}, shared: true,
		},
		"Shortly": {
			reason: "so is one shortly after the other, where no session goes on",
			steps:  []step{{from: "192.0.2.7"}, {after: DefaultWindow, from: "198.51.100.7", want: []string{"192.0.2.0/24", "198.51.100.0/24"}}}, shared: true,
		},
		"SessionEnded": {
			reason: "a session counts until its end, and shortly after",
			steps: []step{
				{from: "192.0.2.7", opens: "a"},
				{after: time.Hour, leaves: "a"},
				{after: DefaultWindow, from: "198.51.100.7", want: []string{"192.0.2.0/24", "198.51.100.0/24"}},
			}, shared: true,
		},
		"Moved": {
			reason: "who moves to another network, and was gone for a while, is not found",
			steps:  []step{{from: "192.0.2.7", opens: "a"}, {after: time.Hour, leaves: "a"}, {after: DefaultWindow + time.Second, from: "198.51.100.7", opens: "b"}},
		},
		"Again": {
			reason: "places that are known are no news, a third one is",
			steps: []step{
				{from: "192.0.2.7", opens: "a"},
				{from: "198.51.100.7", opens: "b", want: []string{"192.0.2.0/24", "198.51.100.0/24"}},
				{after: time.Second, from: "192.0.2.8", opens: "c"},
				{after: time.Second, from: "203.0.113.1", want: []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}},
			}, sessions: []string{"a", "b", "c"}, shared: true,
		},
		"Stays": {
			reason: "what was found is known until the proof ends",
			steps:  []step{{from: "192.0.2.7"}, {from: "198.51.100.7", want: []string{"192.0.2.0/24", "198.51.100.0/24"}}, {after: 23 * time.Hour, from: "192.0.2.7"}}, shared: true,
		},
		"TwoFamilies": {
			reason: "one client may have both IPv4 and IPv6",
			steps:  []step{{from: "192.0.2.7", opens: "a"}, {from: "2001:db8:1::7", opens: "b"}},
		},
		"SixNetworks": {
			reason: "networks of IPv6 are compared with each other",
			steps:  []step{{from: "2001:db8:1:2::7", opens: "a"}, {from: "2001:db8:1:3::7"}, {from: "2001:db8:2::7", want: []string{"2001:db8:1::/48", "2001:db8:2::/48"}}},
			shared: true, sessions: []string{"a"},
		},
		"Mapped": {
			reason: "IPv4 in the form of IPv6 is IPv4",
			steps:  []step{{from: "::ffff:192.0.2.7", opens: "a"}, {from: "192.0.2.8"}},
		},
		"Bound": {
			reason:   "a pod has one address: its token from its neighbour's is another workload's",
			steps:    []step{{from: "10.0.0.7", opens: "a", bound: true}, {from: "10.0.0.8", bound: true, want: []string{"10.0.0.7/32", "10.0.0.8/32"}}},
			sessions: []string{"a"}, shared: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1800000000, 0)
			d := New(Options{Now: func() time.Time { return now }})
			visits := map[string]*Visit{}
			var last *Visit
			var sessions []string
			for i, s := range tc.steps {
				now = now.Add(s.after)
				if s.leaves != "" {
					visits[s.leaves].Leave()
					visits[s.leaves].Leave()
					continue
				}
				v, f := d.Note(Use{Proof: "p", Client: netip.MustParseAddr(s.from), Bound: s.bound, By: "here"})
				last = v
				var networks []string
				if f != nil {
					networks, sessions = f.Networks, f.Sessions
					if f.Proof != "p" || f.By != "here" {
						t.Errorf("%s: the finding is %+v", tc.reason, f)
					}
				}
				if diff := cmp.Diff(s.want, networks); diff != "" {
					t.Errorf("%s: step %d: -want +got\n%s", tc.reason, i, diff)
				}
				if s.opens != "" {
					v.Open(s.opens)
					visits[s.opens] = v
				}
			}
			if diff := cmp.Diff(tc.sessions, sessions); diff != "" {
				t.Errorf("%s: sessions: -want +got\n%s", tc.reason, diff)
			}
			if last.Shared() != tc.shared {
				t.Errorf("%s: shared %v", tc.reason, last.Shared())
			}
			if v, _ := d.Note(Use{Proof: "other", Client: netip.MustParseAddr("203.0.113.99")}); v.Shared() {
				t.Errorf("%s: another's proof is shared", tc.reason)
			}
		})
	}
}

// TestNothingIsNoted: without an id, or an address, nothing can be said.
func TestNothingIsNoted(t *testing.T) {
	d := New(Options{})
	for _, use := range []Use{{Client: netip.MustParseAddr("192.0.2.7")}, {Proof: "p"}} {
		v, f := d.Note(use)
		v.Open("a")
		if v != nil || f != nil || v.Shared() || v.Networks() != nil || d.Proofs() != 0 {
			t.Errorf("Note(%+v) = %v, %v", use, v, f)
		}
		v.Leave()
	}
}

// TestBounded: whatever callers do, no more is remembered than may be. What is shared, or
// in use, is never forgotten for others; what finds no room is counted.
func TestBounded(t *testing.T) {
	now := time.Unix(1800000000, 0)
	d := New(Options{MaxProofs: 4, Now: func() time.Time { return now }})
	note := func(proof, from string) (*Visit, *Finding) {
		return d.Note(Use{Proof: proof, Until: now.Add(time.Hour), Client: netip.MustParseAddr(from)})
	}
	live, _ := note("live", "192.0.2.7")
	live.Open("a")
	note("shared", "192.0.2.7")
	if _, f := note("shared", "198.51.100.7"); f == nil {
		t.Fatal("not found")
	}
	for i := range 100 {
		note(fmt.Sprint("idle", i), "192.0.2.7")
		if n := d.Proofs(); n > 4 {
			t.Fatalf("%d proofs, want at most 4", n)
		}
	}
	if d.Forgotten() == 0 || d.Untracked() != 0 {
		t.Errorf("forgotten %d, untracked %d", d.Forgotten(), d.Untracked())
	}
	if v, _ := note("shared", "198.51.100.7"); !v.Shared() {
		t.Error("what was shared is forgotten")
	}
	if _, f := note("live", "198.51.100.7"); f == nil {
		t.Error("what is in use is forgotten")
	}
	for i := range 2 {
		v, _ := note(fmt.Sprint("more", i), "192.0.2.7")
		v.Open(fmt.Sprint("s", i))
	}
	late, f := note("late", "192.0.2.7")
	late.Open("z")
	if d.Untracked() == 0 || f != nil || late.Shared() {
		t.Errorf("a table in use takes more: untracked %d", d.Untracked())
	}
	late.Leave()
	live.Leave()
	now = now.Add(2 * time.Hour)
	if _, f := note("fresh", "192.0.2.7"); f != nil || d.Proofs() > 4 {
		t.Errorf("%d proofs", d.Proofs())
	}
	if v, _ := note("shared", "203.0.113.7"); v.Shared() {
		t.Error("a finding outlives its proof")
	}
}

// TestFullIsNotSearchedForEachUse: checklist 38, who fills the table has nobody else wait for a
// look at all of it; what matters no more makes room soon all the same.
func TestFullIsNotSearchedForEachUse(t *testing.T) {
	now := time.Unix(1800000000, 0)
	d := New(Options{MaxProofs: 4, Now: func() time.Time { return now }})
	use := func(proof, from string, until time.Duration) *Visit {
		v, _ := d.Note(Use{Proof: proof, Until: now.Add(until), Client: netip.MustParseAddr(from)})
		return v
	}
	for i := range 4 {
		use(fmt.Sprint(i), "192.0.2.7", time.Minute)
		use(fmt.Sprint(i), "198.51.100.7", time.Minute)
	}
	now = now.Add(time.Minute - sweepEvery/2)
	use("first", "192.0.2.7", time.Hour) // looks, and finds no room
	now = now.Add(sweepEvery / 2)
	use("second", "192.0.2.7", time.Hour)
	if got := d.Untracked(); got != 1 || d.Proofs() != 4 {
		t.Errorf("%d found no room, %d are remembered: want 1, since the second took the place of one that has ended, and 4, since not all were looked at again", got, d.Proofs())
	}
	now = now.Add(sweepEvery / 2)
	use("third", "192.0.2.7", time.Hour)
	if got := d.Untracked(); got != 1 || d.Proofs() != 2 || d.Forgotten() != 0 {
		t.Errorf("%d found no room, %d are remembered, %d were forgotten: want 1, 2 and 0", got, d.Proofs(), d.Forgotten())
	}
}

// TestManyPlaces: one proof cannot make a Detector remember without end.
func TestManyPlaces(t *testing.T) {
	d := New(Options{})
	for i := range 3 * maxPlaces {
		v, _ := d.Note(Use{Proof: "p", Client: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})})
		v.Open(fmt.Sprint(i))
		if n := len(v.Networks()); n > maxPlaces {
			t.Fatalf("%d places", n)
		}
		t.Cleanup(v.Leave)
	}
	_, f := d.Note(Use{Proof: "p", Client: netip.AddrFrom4([4]byte{10, 1, 1, 1})})
	if f != nil && len(f.Sessions) > maxSessions {
		t.Errorf("a finding names %d sessions", len(f.Sessions))
	}
}

// TestWatchers: everybody who watches has acted when Tell returns; many at once do no harm.
func TestWatchers(t *testing.T) {
	d := New(Options{})
	var mu sync.Mutex
	told := map[string]int{}
	for _, name := range []string{"a", "b"} {
		d.Watch(func(*Finding) {
			mu.Lock()
			defer mu.Unlock()
			told[name]++
		})
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				v, f := d.Note(Use{Proof: fmt.Sprint(j % 5), Client: netip.AddrFrom4([4]byte{10, byte(i), byte(j), 1})})
				v.Open(fmt.Sprint(i, j))
				if f != nil {
					d.Tell(f)
				}
				v.Leave()
			}
		})
	}
	all.Wait()
	if told["a"] == 0 || told["a"] != told["b"] {
		t.Errorf("told %v", told)
	}
}

// TestUntilIsTheLatest: a finding is remembered until the last end that a use of the proof
// said, whichever use that was.
func TestUntilIsTheLatest(t *testing.T) {
	begin := time.Unix(1800000000, 0)
	for name, tc := range map[string]struct {
		reason      string
		first, then time.Duration // the ends that uses say; zero for none
		after       time.Duration
		shared      bool
	}{
		"Later":   {reason: "a later use says a later end", first: time.Minute, then: 2 * time.Hour, after: time.Hour, shared: true},
		"Earlier": {reason: "an earlier end of a later use takes nothing back", first: 2 * time.Hour, then: time.Minute, after: time.Hour, shared: true},
		"Unsaid":  {reason: "a use that says none lasts a day", first: time.Minute, after: 23 * time.Hour, shared: true},
		"Over":    {reason: "the last end has come", first: time.Minute, then: time.Hour, after: 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			now := begin
			d := New(Options{MaxProofs: 2, Now: func() time.Time { return now }})
			note := func(proof, from string, end time.Duration) *Visit {
				use := Use{Proof: proof, Client: netip.MustParseAddr(from)}
				if end > 0 {
					use.Until = begin.Add(end)
				}
				v, _ := d.Note(use)
				return v
			}
			note("p", "192.0.2.7", tc.first)
			note("p", "198.51.100.7", tc.then)
			now = begin.Add(tc.after)
			for i := range 4 { // make it look for what is over
				note(fmt.Sprint("other", i), "192.0.2.7", 0)
			}
			if v := note("p", "203.0.113.7", 0); v.Shared() != tc.shared {
				t.Errorf("%s: shared %v", tc.reason, v.Shared())
			}
		})
	}
}

// TestForgottenBeforeOpen: what was forgotten between a use and its session, and came back
// from elsewhere, is found when the session opens.
func TestForgottenBeforeOpen(t *testing.T) {
	d := New(Options{MaxProofs: 1})
	note := func(proof, from string) *Visit {
		v, _ := d.Note(Use{Proof: proof, Client: netip.MustParseAddr(from)})
		return v
	}
	early := note("p", "192.0.2.7")
	note("other", "192.0.2.7")
	late := note("p", "198.51.100.7")
	if f := late.Open("b"); f != nil {
		t.Errorf("the first session is found: %+v", f)
	}
	want := &Finding{Proof: "p", Networks: []string{"198.51.100.0/24", "192.0.2.0/24"}, Sessions: []string{"b"}}
	if diff := cmp.Diff(want, early.Open("a")); diff != "" {
		t.Errorf("Open: -want +got\n%s", diff)
	}
	if !early.Shared() || !late.Shared() {
		t.Error("the sessions do not know")
	}
	early.Leave()
	late.Leave()
}

// TestLookedAtWhileOpening: others look at a session while it opens (for the race detector).
func TestLookedAtWhileOpening(t *testing.T) {
	d := New(Options{})
	var all sync.WaitGroup
	for i := range 32 {
		v, _ := d.Note(Use{Proof: fmt.Sprint(i), Client: netip.MustParseAddr("192.0.2.7")})
		all.Go(func() {
			if v.Shared() || len(v.Networks()) != 1 {
				t.Error("one place is several")
			}
		})
		all.Go(func() { v.Open("s") })
	}
	all.Wait()
}
