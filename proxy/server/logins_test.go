// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// seeing is a protocol whose handler looks by a function.
type seeing func(ctx context.Context, watch *access.LoginWatch) error

func (seeing) Name() string                          { return "seeing" }
func (seeing) Vocabulary() policy.Vocabulary         { return policy.Vocabulary{} }
func (seeing) ValidateOptions(json.RawMessage) error { return nil }
func (seeing) DefaultPort() int32                    { return 1 }

func (s seeing) NewHandler() protocol.Handler {
	return struct {
		handler
		seeing
	}{seeing: s}
}

func (s seeing) WatchLogins(ctx context.Context, watch *access.LoginWatch) error {
	return s(ctx, watch)
}

// watching runs Logins with a protocol until the test ends.
func watching(t *testing.T, s seeing) (*Logins, *place) {
	t.Helper()
	p := newPlace(t, Options{}, nil)
	l := &Logins{
		Connection: "data/shop", Gate: p.gate, Protocols: NewProtocols([]protocol.Protocol{s}),
		Metrics: NewLoginMetrics(prometheus.NewRegistry()), Log: logr.Discard(), Every: time.Minute,
	}
	must(t, l.Protocols.Use("seeing"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return l, p
}

func snapshotOf(options string, hosts ...string) *snapshot.Snapshot {
	s := &snapshot.Snapshot{Connection: snapshot.Connection{Namespace: "data", Name: "shop", UID: "c-1"}, Protocol: "seeing", Options: json.RawMessage(options)}
	for _, host := range hosts {
		s.Targets = append(s.Targets, snapshot.Target{Host: host, Port: 5432})
	}
	return s
}

// TestLogins: every target is looked at, what is found is counted and on record,
// and another way to the target is taken at once.
func TestLogins(t *testing.T) {
	looked := make(chan string, 16)
	l, p := watching(t, func(ctx context.Context, watch *access.LoginWatch) error {
		looked <- watch.Target().Host + string(watch.Options())
		for watch.Next(ctx) {
			if err := watch.Saw(ctx, []access.TargetLogin{{ID: "1", OwnRole: true, Name: "psql"}, {ID: "2"}}); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	l.Want(snapshotOf("{}", "a", "b"))
	if diff := cmp.Diff(map[string]bool{"a{}": true, "b{}": true}, map[string]bool{<-looked: true, <-looked: true}); diff != "" {
		t.Errorf("looked at (-want +got):\n%s", diff)
	}
	for range 4 {
		p.log.Await(t.Context(), t, "foreign login", func(e record.Event) bool { return e.Type == record.ForeignLogin })
	}
	l.Want(snapshotOf("{}", "a", "b"))
	l.Want(snapshotOf(`{"x":1}`, "c"))
	if got := <-looked; got != `c{"x":1}` {
		t.Errorf("after the change: %s", got)
	}
	l.Want(snapshotOf(`{}`, "d"))
	<-looked
	await(t, func() bool { watched, blind, trouble := l.State(); return watched && !blind && trouble == nil })
	if own, other := figure(t, l.Metrics.foreign.WithLabelValues("data/shop", "own")), figure(t, l.Metrics.foreign.WithLabelValues("data/shop", "other")); own < 2 || other < 2 {
		t.Errorf("counted %v of the own role, %v of others", own, other)
	}
}

// TestBlindNoMore: where the options have nobody look any more, nobody is blind.
func TestBlindNoMore(t *testing.T) {
	l, p := watching(t, func(ctx context.Context, watch *access.LoginWatch) error {
		if string(watch.Options()) == "off" {
			return access.ErrNotWatched
		}
		for watch.Next(ctx) {
			if err := watch.Saw(ctx, []access.TargetLogin{{ID: "1"}}); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	blind := func() float64 { return figure(t, l.Metrics.blind.WithLabelValues("data/shop")) }
	p.log.Fail(errors.New("disk full"))
	l.Want(snapshotOf("{}", "a"))
	await(t, func() bool { return blind() == 1 })
	l.Want(snapshotOf("off", "a"))
	await(t, func() bool { return blind() == 0 })
}

// TestWhoSees: whoever cannot tell of others' logins still tells of those that are
// called after its own, unless the look itself failed. Where nobody shall look, as
// before the credential was read, nobody does.
func TestWhoSees(t *testing.T) {
	l, p := watching(t, func(ctx context.Context, watch *access.LoginWatch) error {
		if string(watch.Options()) == "down" {
			return errors.New("no connection slots")
		}
		for watch.Next(ctx) {
			// An old login, called after a proxy that nobody knows.
			login := access.TargetLogin{ID: "1", OwnRole: true, Name: "doorward:catalog-bcdfgh", Tag: "bcdfgh"}
			if err := watch.Saw(ctx, []access.TargetLogin{login}); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	state := func(watched, blind, trouble bool) func() bool {
		return func() bool {
			w, b, err := l.State()
			return w == watched && b == blind && (err != nil) == trouble
		}
	}
	p.mute.Store(true)
	l.Want(snapshotOf("{}", "a"))
	await(t, state(true, false, true))
	l.Want(snapshotOf("down", "a"))
	await(t, state(true, true, true))
	l.Want(nil)
	await(t, state(false, false, false))
	l.Want(nil)
	p.mute.Store(false)
	l.Want(snapshotOf("{}", "a"))
	await(t, state(true, false, false))
}

// figure is what a registry would show.
func figure(t *testing.T, metric prometheus.Metric) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	collector, ok := metric.(prometheus.Collector)
	if !ok {
		t.Fatalf("%T is no collector", metric)
	}
	must(t, registry.Register(collector))
	families, err := registry.Gather()
	must(t, err)
	one := families[0].GetMetric()[0]
	return one.GetCounter().GetValue() + one.GetGauge().GetValue()
}

// await waits for a state that nothing tells of.
func await(t *testing.T, is func() bool) {
	t.Helper()
	bound := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-bound:
			t.Fatal("it does not come to be")
		case <-tick.C:
		}
	}
}

func gateOf(t *testing.T) *access.Gate {
	t.Helper()
	gate, err := access.NewGate(access.Config{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"}, Log: recordtest.NewLog(), Approvals: anybody{}, Dialer: anybody{},
		TLS: &tls.Config{MinVersion: tls.VersionTLS12},
		NewEngine: func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
			return policytest.Engine(anybody{}), nil
		},
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return anybody{}, nil },
	})
	must(t, err)
	return gate
}

// TestLoginsFail: a target that fails is tried again, ever more rarely, a protocol
// that panics ends nothing else, and one that must not look is not asked again.
func TestLoginsFail(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		look    func() error
		within  time.Duration
		asked   int
		trouble string
		watched bool
	}{
		"Errors":  {"1, 2, 4, 8, 16 and 32 s apart", func() error { return errors.New("no such host") }, 64 * time.Second, 7, "no such host", true},
		"Panics":  {"as an error that quotes nothing of a connection", func() error { panic("out of range") }, 2 * time.Second, 2, "panicked: string", true},
		"MustNot": {"the options say so", func() error { return access.ErrNotWatched }, time.Hour, 1, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				asked := 0
				l := &Logins{
					Connection: "data/shop", Metrics: NewLoginMetrics(prometheus.NewRegistry()), Log: logr.Discard(),
					Protocols: NewProtocols([]protocol.Protocol{seeing(func(context.Context, *access.LoginWatch) error {
						mu.Lock()
						asked++
						mu.Unlock()
						return tc.look()
					})}),
					Gate: gateOf(t),
				}
				must(t, l.Protocols.Use("seeing"))
				ctx, cancel := context.WithTimeout(t.Context(), tc.within)
				defer cancel()
				l.Want(snapshotOf("{}", "a"))
				var watched bool
				var trouble error
				l.Changed = func() { watched, _, trouble = l.State() }
				l.Run(ctx)
				if asked != tc.asked || watched != tc.watched || (trouble != nil) != (tc.trouble != "") || trouble != nil && !strings.Contains(trouble.Error(), tc.trouble) {
					t.Errorf("%s: asked %d times, watched %t, trouble %v", tc.reason, asked, watched, trouble)
				}
				if blind := figure(t, l.Metrics.blind.WithLabelValues("data/shop")); (blind == 1) != (tc.trouble != "") {
					t.Errorf("blind: %v", blind)
				}
			})
		})
	}
}
