// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// careful is an engine with policies about shared credentials.
type careful struct {
	usual, shared rules
	binds         []policy.RuleRef
}

type carefulStanding struct {
	placed
	binds []policy.RuleRef
}

func (s carefulStanding) Scope() (binds, permits []policy.RuleRef) { return s.binds, nil }

func (e careful) Standing(_ context.Context, caller identity.Principal, at policy.Circumstances) (policy.Standing, error) {
	if at.SharedCredential {
		return carefulStanding{placed{rules: e.shared, caller: caller}, e.binds}, nil
	}
	return carefulStanding{placed: placed{rules: e.usual, caller: caller}}, nil
}

// noShared is a policy that denies something to those whose credential is shared.
var noShared = policy.Policy{
	Name: "no-shared", UID: "p-9", When: []policy.Condition{{SharedCredential: true}},
	Rules: []policy.Rule{{Name: "none", Effect: policy.Deny, Actions: []string{"*"}}},
}

func (w *world) careful(e careful) {
	w.t.Helper()
	if err := w.tryEngine(e, func(s *snapshot.Snapshot) { s.Policies.Policies = append(s.Policies.Policies, noShared) }); err != nil {
		w.t.Fatal(err)
	}
}

// from opens a session of the world's caller from an address.
func (w *world) from(address string) (*Grant, error) {
	w.t.Helper()
	caller, err := w.gate.Entry(&net.TCPAddr{IP: net.ParseIP(address), Port: 40000}).Authenticate(context.Background(), identity.BearerToken("token"))
	if err != nil {
		return nil, err
	}
	return caller.Authorize(context.Background())
}

func (w *world) mustFrom(address string) *Grant {
	w.t.Helper()
	grant, err := w.from(address)
	if err != nil {
		w.t.Fatal(err)
	}
	return grant
}

// findings are the records of shared credentials: the session, or the client without one.
func (w *world) findings() []string {
	var all []string
	for _, e := range w.log.Events() {
		if e.Type != record.SharedCredential {
			continue
		}
		who := e.Session
		if who == "" {
			who = e.ClientAddress
		}
		all = append(all, who)
	}
	return all
}

// TestSharedCredential: checklist 30: a credential that is used from two networks at a time is on record,
// for whoever came and for each session; policies take rights away, and sessions end.
func TestSharedCredential(t *testing.T) {
	denied := rules{connect: decision(policy.Deny), decide: decision(policy.Deny)}
	narrow := rules{connect: decision(policy.Allow), decide: decision(policy.Deny)}
	cases := map[string]struct {
		reason string
		engine careful
		proof  string
		second string
		// ends says that the first session ends, refused that the second does not begin,
		// found that it is a finding.
		ends, refused, found bool
	}{
		"NoPolicy":    {reason: "it is on record, and nothing else happens", engine: careful{usual: allowing, shared: allowing}, proof: "p", second: "198.51.100.7", found: true},
		"SameNetwork": {reason: "one client has several addresses of its network", engine: careful{usual: allowing, shared: denied}, proof: "p", second: "192.0.2.9"},
		"NoID":        {reason: "what has no id cannot be told from another's", engine: careful{usual: allowing, shared: denied}, second: "198.51.100.7"},
		"NoRights": {
			reason: "who has no right left has no session", engine: careful{usual: allowing, shared: denied},
			proof: "p", second: "198.51.100.7", found: true, ends: true, refused: true,
		},
		"SomeRights": {
			reason: "a session whose rights were narrowed ends; a new one has the narrower rights",
			engine: careful{usual: allowing, shared: narrow, binds: []policy.RuleRef{{Policy: "no-shared", UID: "p-9"}}},
			proof:  "p", second: "198.51.100.7", found: true, ends: true,
		},
		"Asks": {
			reason: "where only an approval is asked for, sessions go on", engine: careful{usual: allowing, shared: asking},
			proof: "p", second: "198.51.100.7", found: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.careful(tc.engine)
			w.caller.ProofID = tc.proof
			first := w.mustFrom("192.0.2.7")
			defer first.Close("done")
			second, err := w.from(tc.second)
			if (err != nil) != tc.refused {
				t.Fatalf("%s: the second session: %v", tc.reason, err)
			}
			var want []string
			if tc.found {
				want = []string{net.JoinHostPort(tc.second, "40000"), first.Session()}
			}
			if second != nil {
				defer second.Close("done")
				if tc.found {
					want = append(want, second.Session())
				}
			}
			if got := w.findings(); !slices.Equal(got, want) {
				t.Errorf("%s: findings on record: %v, want %v", tc.reason, got, want)
			}
			if n := w.gate.SharedCredentials(); (n == 1) != tc.found {
				t.Errorf("%s: %d findings counted", tc.reason, n)
			}
			if cause := context.Cause(first.Context()); (cause != nil) != tc.ends || tc.ends && !errors.Is(cause, ErrRevoked) {
				t.Errorf("%s: the first session ended: %v, want it to: %v", tc.reason, cause, tc.ends)
			}
			if !tc.ends && tc.found {
				for _, grant := range []*Grant{first, second} {
					if effect, err := grant.Preview(t.Context(), policy.Operation{Accesses: statement().Operation.Accesses}); err != nil || effect != tc.engine.shared.decide.Effect {
						t.Errorf("%s: an operation comes to %s, %v", tc.reason, effect, err)
					}
				}
			}
		})
	}
}

// TestFindingIsWhole: the record says who, from which networks and in which sessions.
func TestFindingIsWhole(t *testing.T) {
	w := newWorld(t, allowing)
	w.caller.ProofID = "0a1b"
	first := w.mustFrom("192.0.2.7")
	defer first.Close("done")
	w.mustFrom("198.51.100.7").Close("done")
	events := w.log.Events()
	i := slices.IndexFunc(events, func(e record.Event) bool { return e.Type == record.SharedCredential })
	if i < 0 {
		t.Fatal("not on record")
	}
	e := events[i]
	if e.Actor.UserName != "alice" || e.Actor.ProofID != "0a1b" || e.Connection.Name != "shop" || e.Revision == 0 {
		t.Errorf("the record is of %+v on %+v", e.Actor, e.Connection)
	}
	want := []record.Attribute{{Name: "networks", Value: "192.0.2.0/24,198.51.100.0/24"}, {Name: "sessions", Value: first.Session()}}
	if !slices.Equal(e.Attributes, want) || !strings.Contains(e.Reason, "192.0.2.0/24") {
		t.Errorf("the record says %q, %v", e.Reason, e.Attributes)
	}
}

// TestSharedOnAnotherConnection: all Connections of a proxy know what one has found.
func TestSharedOnAnotherConnection(t *testing.T) {
	one, two := newWorld(t, allowing), newWorld(t, allowing)
	detector := sharing.New(sharing.Options{})
	for i, w := range []*world{one, two} {
		w.gate.config.Sharing = detector
		w.gate.config.Connection.Name = []string{"shop", "books"}[i]
		detector.Watch(w.gate.shared)
		w.caller.ProofID = "p"
	}
	one.careful(careful{usual: allowing, shared: rules{}})
	live := one.mustFrom("192.0.2.7")
	defer live.Close("done")
	two.mustFrom("198.51.100.7").Close("done")
	if cause := context.Cause(live.Context()); !errors.Is(cause, ErrRevoked) {
		t.Errorf("the session on the other Connection ended: %v", cause)
	}
	if one.gate.SharedCredentials() != 1 || two.gate.SharedCredentials() != 1 {
		t.Errorf("counted %d and %d", one.gate.SharedCredentials(), two.gate.SharedCredentials())
	}
	if _, err := one.from("192.0.2.7"); reason(err) != ReasonNotAllowed && reason(err) != ReasonDenied {
		t.Errorf("a new session: %v", err)
	}
}

// TestUnrecordedFinding: checklist 42: what cannot be put on record does not go on, and
// what policies take away is gone all the same.
func TestUnrecordedFinding(t *testing.T) {
	w := newWorld(t, allowing)
	w.careful(careful{usual: allowing, shared: rules{}})
	w.caller.ProofID = "p"
	first := w.mustFrom("192.0.2.7")
	defer first.Close("done")
	w.log.Fail(errBoom)
	if _, err := w.from("198.51.100.7"); reason(err) != ReasonUnavailable {
		t.Errorf("a finding that is not on record: %v", err)
	}
	w.log.Fail(nil)
	if first.Context().Err() == nil {
		t.Error("the session goes on")
	}
}

// TestSharedWhileDeciding: an operation is never decided by the rights of before.
func TestSharedWhileDeciding(t *testing.T) {
	w := newWorld(t, allowing)
	w.careful(careful{usual: allowing, shared: rules{connect: decision(policy.Allow)}})
	w.caller.ProofID = "p"
	first := w.mustFrom("192.0.2.7")
	defer first.Close("done")
	// The finding is known, and nobody has told the gate yet.
	if _, f := w.gate.config.Sharing.Note(sharing.Use{Proof: "p", Client: circumstances("198.51.100.7:1", time.Now()).Client}); f == nil {
		t.Fatal("no finding")
	}
	if _, err := first.Decide(t.Context(), statement()); reason(err) != ReasonNotAllowed {
		t.Errorf("decided by the rights of before: %v", err)
	}
}

// TestSharedEndsWithSession: a session that is over is no use any more.
func TestSharedEndsWithSession(t *testing.T) {
	w := newWorld(t, allowing)
	now := time.Now()
	w.gate.config.Sharing = sharing.New(sharing.Options{Now: func() time.Time { return now }})
	w.caller.ProofID = "p"
	w.mustFrom("192.0.2.7").Close("done")
	now = now.Add(time.Hour)
	w.mustFrom("198.51.100.7").Close("done")
	if got := w.findings(); len(got) != 0 {
		t.Errorf("findings %v", got)
	}
}

// TestSharedForgottenMeanwhile: checklist 30: a use that was forgotten before its session
// began is found when it begins, and takes effect.
func TestSharedForgottenMeanwhile(t *testing.T) {
	denied := rules{connect: decision(policy.Deny), decide: decision(policy.Deny)}
	w := newWorld(t, allowing)
	known := sharing.New(sharing.Options{MaxProofs: 1})
	known.Watch(w.gate.shared)
	w.gate.config.Sharing = known
	w.careful(careful{usual: allowing, shared: denied})
	w.caller.ProofID = "p"
	early := w.authenticate()
	w.caller.ProofID = "other"
	w.authenticate() // makes p forgotten
	w.caller.ProofID = "p"
	late := w.mustFrom("198.51.100.7")
	defer late.Close("done")
	if found := w.findings(); len(found) > 0 {
		t.Fatalf("found already: %q", found)
	}
	if _, err := early.Authorize(t.Context()); reason(err) == "" {
		t.Errorf("Authorize: %v, want a refusal", err)
	}
	if cause := context.Cause(late.Context()); !errors.Is(cause, ErrRevoked) {
		t.Errorf("the other session goes on: %v", cause)
	}
	if found := w.findings(); !slices.Contains(found, "192.0.2.7:40000") || w.gate.SharedCredentials() != 1 {
		t.Errorf("on record is %q, %d are counted", found, w.gate.SharedCredentials())
	}
}
