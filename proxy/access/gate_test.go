// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

func TestNewGateNeedsAllParts(t *testing.T) {
	if _, err := NewGate(Config{}); err == nil {
		t.Error("a gate without parts was made")
	}
}

// checklist 36: rights that go away end the sessions that rest on them.
func TestApplyEndsSessions(t *testing.T) {
	cases := map[string]struct {
		reason string
		rules  rules
		change func(*snapshot.Snapshot)
		ends   bool
	}{
		"Same":         {reason: "nothing was taken away", rules: allowing},
		"NoConnect":    {reason: "no rule lets the caller in any more", rules: rules{}, ends: true},
		"EngineFails":  {reason: "an engine that fails allows nothing", rules: rules{connect: decision(policy.Allow), err: errBoom}, ends: true},
		"OtherObject":  {reason: "the connection was made anew", rules: allowing, change: func(s *snapshot.Snapshot) { s.Connection.UID = "c-2" }, ends: true},
		"OtherTarget":  {reason: "the session goes to another place", rules: allowing, change: func(s *snapshot.Snapshot) { s.Targets = []snapshot.Target{{Host: "other", Port: 1}} }, ends: true},
		"OtherTLS":     {reason: "the target is proven otherwise", rules: allowing, change: func(s *snapshot.Snapshot) { s.TLS.ServerName = "x" }, ends: true},
		"OtherOptions": {reason: "an option may have let the session in", rules: allowing, change: func(s *snapshot.Snapshot) { s.Options = []byte(`{"databases":[]}`) }, ends: true},
		"NoProvider":   {reason: "nobody vouches for the caller any more", rules: allowing, change: func(s *snapshot.Snapshot) { s.IdentityProviders = nil }, ends: true},
		"OtherClaims": {
			reason: "the caller would have another name now", rules: allowing, ends: true,
			change: func(s *snapshot.Snapshot) {
				s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "OIDC", OIDC: &snapshot.OIDC{
					IssuerURL: "https://issuer.example", Mapped: snapshot.Mapped{Username: snapshot.ClaimMapping{Prefix: "x:"}},
				}}}
			},
		},
		"ProviderReachedOtherwise": {
			reason: "the issuer's server has a new CA, its callers are the same", rules: allowing,
			change: func(s *snapshot.Snapshot) {
				s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "OIDC", OIDC: &snapshot.OIDC{
					IssuerURL: "https://issuer.example", CertificateAuthority: "new",
				}}}
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			grant := w.authorize()
			change := c.change
			if change == nil {
				change = func(*snapshot.Snapshot) {}
			}
			w.apply(c.rules, change)
			if cause := context.Cause(grant.Context()); errors.Is(cause, ErrRevoked) != c.ends {
				t.Errorf("cause = %v, want ended = %t: %s", cause, c.ends, c.reason)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	before := w.gate.Revision()
	err := w.tryApply(nil)
	if !errors.Is(err, errBoom) || w.gate.Revision() != before {
		t.Errorf("policies that do not compile: %v, revision %d, want the former to stay", err, w.gate.Revision())
	}
	err = w.tryApply(allowing, func(s *snapshot.Snapshot) { s.Connection.Name = "other" })
	if err == nil || w.gate.Revision() != before {
		t.Errorf("a snapshot of another connection: %v, want it refused", err)
	}
	if got := w.log.OfType(record.SnapshotRefused); len(got) != 2 || got[0].Reason == "" {
		t.Errorf("records of the refusals: %+v, want two with reasons", got)
	}
	w.connected.Connection.Name = "shop"
	w.log.Fail(errBoom)
	if err := w.tryApply(rules{}); !errors.Is(err, errBoom) || w.gate.Revision() != before {
		t.Errorf("a log that takes nothing: %v, want the former to stay", err)
	}
	// A full disk must not keep a revocation out.
	if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrRevoked) {
		t.Errorf("cause = %v, want %v although nothing could be recorded", cause, ErrRevoked)
	}
}

// TestApplyNeedsTheKeyOfMasks: a mask that hashes without a key is none.
func TestApplyNeedsTheKeyOfMasks(t *testing.T) {
	w := newWorld(t, allowing)
	key, err := snapshot.NewMaskKey(make([]byte, snapshot.MaskKeySize))
	if err != nil {
		t.Fatal(err)
	}
	mask := func(method string, key snapshot.MaskKey) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) {
			s.Policies.Policies[0].Masks = []policy.Mask{{Name: "m", Method: policy.Method{Type: method}}}
			s.MaskKey = key
		}
	}
	for _, method := range policy.Methods() {
		keyed := method == policy.Hash || method == policy.Digits
		if err := w.tryApply(allowing, mask(method, snapshot.MaskKey{})); (err != nil) != keyed {
			t.Errorf("%s without a key: %v", method, err)
		}
		if err := w.tryApply(allowing, mask(method, key)); err != nil {
			t.Errorf("%s with a key: %v", method, err)
		}
	}
}

func TestStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		grant := w.authorize()
		defer grant.Close("left")
		<-time.After(299 * time.Second)
		synctest.Wait()
		if context.Cause(grant.Context()) != nil {
			t.Fatal("ended before the bound")
		}
		w.gate.Heartbeat(100 * time.Second)
		<-time.After(199 * time.Second)
		synctest.Wait()
		if cause := context.Cause(grant.Context()); cause != nil {
			t.Fatalf("ended within the bound of a heartbeat that was 100 s old: %v", cause)
		}
		// A replay of an older one gains nothing.
		w.gate.Heartbeat(299 * time.Second)
		w.gate.Heartbeat(2 * time.Hour)
		synctest.Wait()
		if cause := context.Cause(grant.Context()); cause != nil {
			t.Fatalf("ended by a replayed heartbeat: %v", cause)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrStale) {
			t.Errorf("cause = %v, want %v", cause, ErrStale)
		}
		if _, err := grant.Decide(context.Background(), statement()); reason(err) != ReasonSessionEnded {
			t.Errorf("Decide() = %v, want %s", err, ReasonSessionEnded)
		}
		if _, err := w.entry().Authenticate(context.Background(), identity.BearerToken("t")); !errors.Is(err, ErrStale) {
			t.Errorf("Authenticate() = %v, want %v", err, ErrStale)
		}
		w.gate.Heartbeat(0)
		w.authorize().Close("left")
	})
}

func TestStalenessFollowsTheSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.apply(allowing, func(s *snapshot.Snapshot) { s.MaxStalenessSeconds = 30 })
		grant := w.authorize()
		defer grant.Close("left")
		<-time.After(31 * time.Second)
		synctest.Wait()
		if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrStale) {
			t.Errorf("cause = %v, want %v after the new bound", cause, ErrStale)
		}
	})
}

func TestStalenessIsBounded(t *testing.T) {
	for seconds, want := range map[int32]time.Duration{-1: 5 * time.Minute, 0: 5 * time.Minute, 30: 30 * time.Second, 86400: time.Hour} {
		if got := staleness(seconds); got != want {
			t.Errorf("staleness(%d) = %s, want %s", seconds, got, want)
		}
	}
}

// A proof that comes while the timer fires must not be lost.
func TestLateTimerDoesNotCloseAFreshGate(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	w.gate.Heartbeat(0)
	w.gate.expire()
	if cause := context.Cause(grant.Context()); cause != nil {
		t.Errorf("ended although there is a newer proof: %v", cause)
	}
}

// checklist 36: sessions end when they must, and not before.
func TestSessionEnds(t *testing.T) {
	cases := map[string]struct {
		reason  string
		session snapshot.Session
		expires time.Duration
		act     func(*testing.T, *world, *Grant)
		after   time.Duration
		want    error
	}{
		"Token":       {reason: "the proof of identity ends", expires: 2 * time.Minute, after: 2 * time.Minute, want: ErrExpired},
		"MaxDuration": {reason: "the connection's bound", session: snapshot.Session{MaxDurationSeconds: 60}, expires: time.Hour, after: time.Minute, want: ErrExpired},
		"Idle":        {reason: "nothing happens", session: snapshot.Session{IdleTimeoutSeconds: 60}, expires: time.Hour, after: time.Minute, want: ErrIdle},
		"IdleAfterWork": {
			reason: "the time counts from the last operation", session: snapshot.Session{IdleTimeoutSeconds: 60}, expires: time.Hour, after: 100 * time.Second, want: ErrIdle,
			act: func(t *testing.T, _ *world, g *Grant) {
				t.Helper()
				<-time.After(40 * time.Second)
				permit, err := g.Decide(context.Background(), statement())
				if err != nil {
					t.Fatal(err)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
			},
		},
		"Narrowed": {
			reason: "a bound that comes later counts from the session's start", expires: time.Hour, after: 30 * time.Second, want: ErrExpired,
			act: func(_ *testing.T, w *world, _ *Grant) {
				<-time.After(10 * time.Second)
				w.apply(allowing, func(s *snapshot.Snapshot) { s.Session.MaxDurationSeconds = 30 })
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, allowing)
				defer w.gate.Close(ErrDraining)
				w.caller.ExpiresAt = time.Now().Add(c.expires)
				w.apply(allowing, func(s *snapshot.Snapshot) { s.Session, s.MaxStalenessSeconds = c.session, 3600 })
				began := time.Now()
				grant := w.authorize()
				defer grant.Close("left")
				if c.act != nil {
					c.act(t, w, grant)
				}
				<-grant.Context().Done()
				if cause := context.Cause(grant.Context()); !errors.Is(cause, c.want) || time.Since(began) != c.after {
					t.Errorf("ended after %s with %v, want %s with %v: %s", time.Since(began), cause, c.after, c.want, c.reason)
				}
			})
		})
	}
}

func TestBusySessionIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.apply(allowing, func(s *snapshot.Snapshot) { s.Session.IdleTimeoutSeconds, s.MaxStalenessSeconds = 60, 3600 })
		grant := w.authorize()
		defer grant.Close("left")
		permit, err := grant.Decide(context.Background(), statement())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if cause := context.Cause(grant.Context()); cause != nil {
			t.Fatalf("ended while an operation ran: %v", cause)
		}
		permit.Done(record.Result{Outcome: "Succeeded"})
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrIdle) {
			t.Errorf("cause = %v, want %v", cause, ErrIdle)
		}
	})
}

func TestTerminate(t *testing.T) {
	w := newWorld(t, allowing)
	grant, other := w.authorize(), w.authorize()
	if w.gate.Terminate("nobody", "x") {
		t.Error("a session that is not there was terminated")
	}
	if !w.gate.Terminate(grant.Session(), "suspicious") {
		t.Error("a live session was not found")
	}
	if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrTerminated) {
		t.Errorf("cause = %v, want %v", cause, ErrTerminated)
	}
	if cause := context.Cause(other.Context()); cause != nil {
		t.Errorf("another session ended: %v", cause)
	}
	grant.Close("left")
	got := w.log.OfType(record.SessionEnd)
	if len(got) != 1 || got[0].Reason != "the session was terminated: suspicious" {
		t.Errorf("ends on record: %+v, want one with the cause", got)
	}
	if w.gate.Terminate(grant.Session(), "again") {
		t.Error("a closed session was terminated")
	}
}

func TestDrainLeavesSessionsAlone(t *testing.T) {
	w := newWorld(t, allowing)
	grant, waiting := w.authorize(), w.authenticate()
	w.gate.Drain()
	if _, err := waiting.Authorize(context.Background()); !errors.Is(err, ErrDraining) {
		t.Errorf("Authorize() = %v, want %v", err, ErrDraining)
	}
	permit, err := grant.Decide(context.Background(), statement())
	if err != nil {
		t.Fatalf("a live session cannot go on: %v", err)
	}
	permit.Done(record.Result{Outcome: "Succeeded"})
	w.gate.Close(ErrDraining)
	if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrDraining) {
		t.Errorf("cause = %v, want %v", cause, ErrDraining)
	}
}

func TestCloseOfASessionSaysWhatIsUnknown(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	permit, err := grant.Decide(context.Background(), statement())
	if err != nil {
		t.Fatal(err)
	}
	grant.Close("the client left")
	grant.Close("twice")
	permit.Done(record.Result{Outcome: "Succeeded"})
	results, ends := w.log.OfType(record.OperationResult), w.log.OfType(record.SessionEnd)
	if len(results) != 1 || results[0].Result.Outcome != "Unknown" || len(ends) != 1 || ends[0].Reason != "the client left" {
		t.Errorf("on record: %+v, %+v, want one unknown result and one end", results, ends)
	}
}

func TestDial(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	take := func(_ context.Context, up Upstream) error {
		if up.Target.Host != "db.example" {
			t.Errorf("Dial() reached %+v", up.Target)
		}
		return up.Conn.Close()
	}
	if err := grant.Dial(context.Background(), take); err != nil {
		t.Errorf("Dial() = %v", err)
	}
	w.dialer.err = errors.New("canary: no route to 10.9.8.7")
	if err := grant.Dial(context.Background(), take); reason(err) != ReasonUnavailable || err.Error() != AsRefusal(err).Error() {
		t.Errorf("Dial() = %v, want %s", err, ReasonUnavailable)
	}
	w.dialer.wait = true
	time.AfterFunc(10*time.Millisecond, func() { grant.End(ErrTerminated) })
	if err := grant.Dial(context.Background(), take); reason(err) != ReasonSessionEnded {
		t.Errorf("Dial() = %v, want %s: a session that ends does not wait for its target", err, ReasonSessionEnded)
	}
	if err := grant.Dial(context.Background(), take); reason(err) != ReasonSessionEnded {
		t.Errorf("Dial() of an ended session = %v, want %s", err, ReasonSessionEnded)
	}
}
