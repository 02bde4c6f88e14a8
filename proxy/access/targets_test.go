// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/snapshot"
)

func host(name string) snapshot.Target { return snapshot.Target{Host: name, Port: 5432} }

// TestTargetsOrder: an address that is gone does not cost every session the
// time it takes to find out, and is never forgotten either.
func TestTargetsOrder(t *testing.T) {
	a, b, c := host("a"), host("b"), host("c")
	given := []snapshot.Target{a, b, c}
	begin := time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		reason string
		after  func(*targets)
		at     time.Duration
		want   []snapshot.Target
	}{
		"new":            {reason: "the order is the Connection's", after: func(*targets) {}, want: given},
		"one failed":     {reason: "it is tried last", after: func(ts *targets) { ts.bad(a, begin) }, at: time.Second, want: []snapshot.Target{b, c, a}},
		"all failed":     {reason: "all are tried, in their order", after: func(ts *targets) { ts.bad(c, begin); ts.bad(a, begin); ts.bad(b, begin) }, at: time.Second, want: given},
		"pause is over":  {reason: "it may be back", after: func(ts *targets) { ts.bad(a, begin) }, at: firstPause, want: given},
		"came back":      {reason: "it is back", after: func(ts *targets) { ts.bad(a, begin); ts.good(a) }, at: time.Second, want: given},
		"failed at once": {reason: "tried last, it failed again: the pause is no longer for that", after: func(ts *targets) { ts.bad(a, begin); ts.bad(a, begin.Add(time.Second)) }, at: firstPause, want: given},
		"failed again":   {reason: "the second pause is longer", after: func(ts *targets) { ts.bad(a, begin); ts.bad(a, begin.Add(firstPause)) }, at: firstPause + 2*firstPause - 1, want: []snapshot.Target{b, c, a}},
		"for good": {reason: "there is a longest pause", after: func(ts *targets) {
			for i := range 100 {
				ts.bad(a, begin.Add(-time.Duration(100-i)*mostPause))
			}
		}, at: 0, want: given},
	} {
		t.Run(name, func(t *testing.T) {
			var ts targets
			tc.after(&ts)
			if diff := cmp.Diff(tc.want, ts.order(given, begin.Add(tc.at))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	var ts targets
	for i := range 10 * maxKnownTargets {
		ts.bad(snapshot.Target{Host: "h", Port: int32(i)}, begin)
	}
	if n := len(ts.known); n > maxKnownTargets {
		t.Errorf("%d targets are remembered, want at most %d", n, maxKnownTargets)
	}
}

// fleet dials what is up, and remembers what it was asked for and whether its
// connections were closed.
type fleet struct {
	mu     sync.Mutex
	down   map[string]bool
	dialed []string
	closed int
}

func (f *fleet) Dial(_ context.Context, s *snapshot.Snapshot) (Upstream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dialed = append(f.dialed, s.Targets[0].Host)
	if len(s.Targets) != 1 || f.down[s.Targets[0].Host] {
		return Upstream{}, errors.New("canary: connection refused")
	}
	here, there := net.Pipe()
	_ = there.Close()
	return Upstream{Conn: counted{here, f}, Target: s.Targets[0]}, nil
}

type counted struct {
	net.Conn
	fleet *fleet
}

func (c counted) Close() error {
	c.fleet.mu.Lock()
	c.fleet.closed++
	c.fleet.mu.Unlock()
	return c.Conn.Close()
}

// TestDialGoesOn: which errors lead to the next target, what is closed, and
// what the caller learns.
func TestDialGoesOn(t *testing.T) {
	final := &Refusal{Reason: ReasonUnavailable, Message: "the password is wrong"}
	other := &Refusal{Reason: ReasonUnavailable, Message: "a standby"}
	for name, tc := range map[string]struct {
		reason string
		down   []string
		accept map[string]error
		want   string // the target that was taken
		err    error
		dialed []string
		closed int
	}{
		"first":              {reason: "the order is the Connection's", want: "a", dialed: []string{"a"}},
		"first is away":      {reason: "failover", down: []string{"a"}, want: "b", dialed: []string{"a", "b"}},
		"first will not do":  {reason: "it is of another role", accept: map[string]error{"a": Elsewhere(other)}, want: "b", dialed: []string{"a", "b"}, closed: 1},
		"first says no":      {reason: "a wrong password is not tried everywhere", accept: map[string]error{"a": final}, err: final, dialed: []string{"a"}, closed: 1},
		"none will do":       {reason: "the protocol's own words", accept: map[string]error{"a": Elsewhere(other), "b": Elsewhere(other), "c": Elsewhere(other)}, err: other, dialed: []string{"a", "b", "c"}, closed: 3},
		"all are away":       {reason: "the cause is not the caller's to know", down: []string{"a", "b", "c"}, dialed: []string{"a", "b", "c"}},
		"away and will not":  {reason: "the last one's word counts", down: []string{"a"}, accept: map[string]error{"b": Elsewhere(other), "c": Elsewhere(other)}, err: other, dialed: []string{"a", "b", "c"}, closed: 2},
		"last one is proven": {reason: "the third", down: []string{"a", "b"}, want: "c", dialed: []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			f := &fleet{down: map[string]bool{}}
			for _, name := range tc.down {
				f.down[name] = true
			}
			w.gate.config.Dialer = f
			w.connected.Targets = []snapshot.Target{host("a"), host("b"), host("c")}
			w.apply(allowing)
			taken := ""
			err := w.authorize().Dial(t.Context(), func(_ context.Context, up Upstream) error {
				if err := tc.accept[up.Target.Host]; err != nil {
					return err
				}
				taken = up.Target.Host
				return nil
			})
			if taken != tc.want || (err == nil) != (tc.want != "") || tc.err != nil && !errors.Is(err, tc.err) {
				t.Errorf("%s: took %q, %v, want %q, %v", tc.reason, taken, err, tc.want, tc.err)
			}
			if err != nil && (reason(err) != ReasonUnavailable || err.Error() != AsRefusal(err).Error()) {
				t.Errorf("%s: the caller is told %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.dialed, f.dialed); diff != "" {
				t.Errorf("%s: dialed (-want +got):\n%s", tc.reason, diff)
			}
			if f.closed != tc.closed {
				t.Errorf("%s: %d connections were closed, want %d", tc.reason, f.closed, tc.closed)
			}
		})
	}
}

// TestDialRemembers: the second session does not wait for what the first found out.
func TestDialRemembers(t *testing.T) {
	w := newWorld(t, allowing)
	f := &fleet{down: map[string]bool{"a": true}}
	w.gate.config.Dialer = f
	w.connected.Targets = []snapshot.Target{host("a"), host("b")}
	w.apply(allowing)
	take := func(context.Context, Upstream) error { return nil }
	for range 3 {
		if err := w.authorize().Dial(t.Context(), take); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "b", "b"}, f.dialed); diff != "" {
		t.Errorf("dialed (-want +got):\n%s", diff)
	}
	f.down = map[string]bool{"b": true}
	f.dialed = nil
	if err := w.authorize().Dial(t.Context(), take); err != nil {
		t.Errorf("the target that was away a moment ago is not tried: %v", err)
	}
	if diff := cmp.Diff([]string{"b", "a"}, f.dialed); diff != "" {
		t.Errorf("dialed (-want +got):\n%s", diff)
	}
}
