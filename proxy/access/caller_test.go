// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

func TestAuthenticateRefuses(t *testing.T) {
	inner := "dial tcp 10.1.2.3:443: connection refused"
	cases := map[string]struct {
		reason string
		spoil  func(*world)
		want   Reason
		hidden string
	}{
		"Rejected": {
			reason: "a token that the provider rejects is the caller's fault",
			spoil:  func(w *world) { w.verifyErr = identity.ErrRejected }, want: ReasonCredential,
		},
		"IssuerAway": {
			reason: "a token that cannot be checked is refused, and nobody unproven learns the network's inside",
			spoil:  func(w *world) { w.verifyErr = errors.New(inner) }, want: ReasonUnavailable, hidden: "10.1.2.3",
		},
		"Draining": {
			reason: "a proxy that shuts down takes nobody in",
			spoil:  func(w *world) { w.gate.Drain() }, want: ReasonDraining,
		},
		"Closed": {
			reason: "a closed gate takes nobody in, whatever heartbeats come",
			spoil:  func(w *world) { w.gate.Close(ErrDraining); w.gate.Heartbeat(0) }, want: ReasonDraining,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			c.spoil(w)
			caller, err := w.entry().Authenticate(context.Background(), identity.BearerToken("canary-token"))
			if caller != nil || reason(err) != c.want {
				t.Fatalf("Authenticate() = %v, %v, want reason %s: %s", caller, err, c.want, c.reason)
			}
			if c.hidden != "" && strings.Contains(err.Error(), c.hidden) {
				t.Errorf("the error %q shows %q: %s", err, c.hidden, c.reason)
			}
			if got := w.log.OfType(record.AuthenticationFailed); len(got) != 1 || got[0].ClientAddress == "" {
				t.Errorf("records of the failure: %+v, want one with the client's address", got)
			}
		})
	}
}

func TestNothingIsServedBeforeSnapshotAndHeartbeat(t *testing.T) {
	w := newWorld(t, allowing)
	fresh, err := NewGate(w.gate.config)
	if err != nil {
		t.Fatal(err)
	}
	entry := fresh.Entry(testAddr{})
	if _, err := entry.Authenticate(context.Background(), identity.BearerToken("token")); reason(err) != ReasonUnavailable {
		t.Errorf("without a snapshot: %v, want %s", err, ReasonUnavailable)
	}
	fresh.Heartbeat(0)
	next := w.connected
	if err := fresh.Apply(context.Background(), &next); err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Authenticate(context.Background(), identity.BearerToken("token")); reason(err) != ReasonUnavailable {
		t.Errorf("without a heartbeat after the snapshot: %v, want %s", err, ReasonUnavailable)
	}
	fresh.Heartbeat(0)
	if _, err := entry.Authenticate(context.Background(), identity.BearerToken("token")); err != nil {
		t.Errorf("with both: %v", err)
	}
	fresh.Close(ErrDraining)
}

type testAddr struct{}

func (testAddr) Network() string { return "tcp" }
func (testAddr) String() string  { return "192.0.2.1:1" }

func TestAuthorizeRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		rules  rules
		spoil  func(*world)
		want   Reason
		start  bool // whether the session's start is on record
	}{
		"DefaultDeny": {reason: "no rule, no session", want: ReasonNotAllowed},
		"Denied":      {reason: "a Deny is named", rules: rules{connect: decision(policy.Deny)}, want: ReasonDenied},
		"EngineFails": {reason: "an engine that fails allows nothing", rules: rules{connect: decision(policy.Allow), err: errBoom}, want: ReasonUnavailable},
		"Expired": {
			reason: "a token that ended between proof and session opens none", rules: allowing,
			spoil: func(w *world) { w.caller.ExpiresAt = time.Now().Add(-time.Second) }, want: ReasonCredential,
		},
		"Limit": {
			reason: "the Connection's bound holds", rules: allowing,
			spoil: func(w *world) {
				w.apply(allowing, func(s *snapshot.Snapshot) { s.Session.MaxConcurrent = 1 })
				w.authorize()
			},
			want: ReasonLimit, start: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.rules)
			if c.spoil != nil {
				c.spoil(w)
			}
			before, started := w.gate.Sessions(), len(w.log.OfType(record.SessionStart))
			grant, err := w.authenticate().Authorize(context.Background())
			if grant != nil || reason(err) != c.want {
				t.Fatalf("Authorize() = %v, %v, want reason %s: %s", grant, err, c.want, c.reason)
			}
			if got := w.log.OfType(record.SessionRefused); len(got) != 1 || got[0].Actor == nil || got[0].Actor.UserName != "alice" || got[0].ReasonCode != c.want {
				t.Errorf("records of the refusal: %+v, want one that names the actor and %s", got, c.want)
			}
			if w.gate.Sessions() != before || len(w.log.OfType(record.SessionStart)) != started {
				t.Error("a refused session is counted or recorded as started")
			}
		})
	}
}

// checklist 43: where the recording cannot start, there is no session.
func TestAuthorizeNeedsTheRecord(t *testing.T) {
	w := newWorld(t, allowing)
	caller := w.authenticate()
	w.log.Fail(errBoom)
	grant, err := caller.Authorize(context.Background())
	if grant != nil || reason(err) != ReasonUnavailable || !errors.Is(err, errBoom) {
		t.Fatalf("Authorize() = %v, %v, want nothing usable and the log's error as the cause", grant, err)
	}
	if w.gate.Sessions() != 0 {
		t.Error("the session is counted")
	}
}

func TestSessionStartIsDurableBeforeTheGrantExists(t *testing.T) {
	w := newWorld(t, allowing)
	caller := w.authenticate()
	release := w.log.Hold()
	granted := make(chan *Grant)
	go func() {
		grant, _ := caller.Authorize(context.Background())
		granted <- grant
	}()
	select {
	case <-granted:
		t.Fatal("the grant exists while its record is being written")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if grant := <-granted; grant == nil || len(w.log.OfType(record.SessionStart)) != 1 {
		t.Error("no grant or no record after the log took it")
	}
}

func TestRevokedWhileTheStartIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		caller := w.authenticate()
		release := w.log.Hold()
		done := make(chan error, 1)
		go func() {
			_, err := caller.Authorize(context.Background())
			done <- err
		}()
		synctest.Wait()
		// What Apply does once its own record is written.
		next := &state{snapshot: &w.connected, engine: policytest.Engine(rules{}), verifier: w}
		w.gate.state.Store(next)
		w.gate.judge(context.Background(), next)
		release()
		if err := <-done; !errors.Is(err, ErrRevoked) {
			t.Errorf("Authorize() = %v, want %v", err, ErrRevoked)
		}
		synctest.Wait()
		if w.gate.Sessions() != 0 {
			t.Error("the revoked session is live")
		}
	})
}

func TestOnGrantSeesEachSession(t *testing.T) {
	w := newWorld(t, allowing)
	entry := w.entry()
	var seen []*Grant
	entry.OnGrant(func(g *Grant) { seen = append(seen, g) })
	caller, err := entry.Authenticate(context.Background(), identity.BearerToken("token"))
	if err != nil {
		t.Fatal(err)
	}
	grant, err := caller.Authorize(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0] != grant {
		t.Errorf("OnGrant saw %v, want the one grant", seen)
	}
}
