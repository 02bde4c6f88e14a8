// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestOutliveToken: a session may go on after its token where all policies that bind the
// caller let it, until the strictest bound, and is judged as any other meanwhile.
func TestOutliveToken(t *testing.T) {
	lasting := perPolicy(func(seconds int64) policy.Limits { return policy.Limits{OutliveTokenSeconds: seconds} })
	byReview := func(s *snapshot.Snapshot) {
		s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "Kubernetes", Kubernetes: &snapshot.Kubernetes{Verification: snapshot.VerifyTokenReview}}}
	}
	byKeys := func(s *snapshot.Snapshot) {
		s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "Kubernetes", Kubernetes: &snapshot.Kubernetes{Verification: snapshot.VerifyIssuerKeys}}}
	}
	bounded := func(seconds int32) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) { s.Session.MaxDurationSeconds = seconds }
	}
	same := func(*snapshot.Snapshot) {}
	gone := func(s *snapshot.Snapshot) { s.IdentityProviders = nil }
	const token = 10 * time.Minute
	for name, tc := range map[string]struct {
		reason    string
		before    rules
		snapshot  func(*snapshot.Snapshot)
		who       func(*identity.Principal)
		after     *rules                   // once the token has expired
		afterwise func(*snapshot.Snapshot) // likewise
		cause     error
		ends      time.Duration
		recorded  bool
	}{
		"Unset":      {reason: "the safest", before: allowing, ends: token},
		"Outlives":   {reason: "so long", before: lasting(300), ends: 15 * time.Minute, recorded: true},
		"Strictest":  {reason: "the strictest of all", before: lasting(600, 300), ends: 15 * time.Minute, recorded: true},
		"Forbidden":  {reason: "one policy ends sessions with the token", before: lasting(600, policy.EndsWithToken, 300), ends: token},
		"Connection": {reason: "the Connection's bound holds always", before: lasting(3600), snapshot: bounded(720), ends: 12 * time.Minute, recorded: true},
		"Within":     {reason: "the Connection's bound is before the token's end", before: lasting(3600), snapshot: bounded(60), ends: time.Minute},
		"Session":    {reason: "a policy's bound of the session, too", before: limited(policy.Limits{OutliveTokenSeconds: 3600, SessionSeconds: 660}), ends: 11 * time.Minute, recorded: true},
		"Reviewed":   {reason: "the API server would have to be asked again", before: lasting(300), snapshot: byReview, ends: token},
		"Keys":       {reason: "a ServiceAccount by its cluster's keys may be gone for long", before: lasting(300), snapshot: byKeys, ends: token},
		"Credential": {reason: "an expired credential cannot be revoked", before: lasting(300), snapshot: withLogin, who: func(p *identity.Principal) {
			p.Credential = identity.Issued{ID: strings.Repeat("a", 32), KeyID: loginKeyID}
		}, ends: token},
		"TakenBack": {reason: "the policy lets nobody outlive his token any more", before: lasting(300), after: new(allowing), ends: 11 * time.Minute, recorded: true},
		"Shorter":   {reason: "judged by what is in force", before: lasting(600), after: new(lasting(120)), ends: 12 * time.Minute, recorded: true},
		"Revoked":   {reason: "rights that go away end it", before: lasting(600), after: new(rules{connect: decision(policy.Deny)}), cause: ErrRevoked, ends: 11 * time.Minute, recorded: true},
		"Provider":  {reason: "a provider that goes away ends it", before: lasting(600), after: new(lasting(600)), afterwise: gone, cause: ErrRevoked, ends: 11 * time.Minute, recorded: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tc.snapshot == nil {
					tc.snapshot = same
				}
				if tc.afterwise == nil {
					tc.afterwise = same
				}
				if tc.cause == nil {
					tc.cause = ErrExpired
				}
				w := newWorld(t, tc.before)
				defer w.gate.Close(ErrDraining)
				w.caller.ExpiresAt = time.Now().Add(token)
				if tc.who != nil {
					tc.who(&w.caller)
				}
				w.apply(tc.before, tc.snapshot)
				review, err := w.authenticate().Review(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				l := w.live()
				end := ""
				for _, a := range w.last(record.SessionStart).Attributes {
					if a.Name == "endsAt" {
						end = a.Value
					}
				}
				if (end != "") != tc.recorded {
					t.Errorf("%s: on record is %q", tc.reason, end)
				}
				if tc.after == nil {
					if want := l.began.Add(tc.ends); !review.Until.Equal(want) || tc.recorded && end != want.UTC().Format(time.RFC3339) {
						t.Errorf("%s: the answer is %s, on record is %q, want %s", tc.reason, review.Until, end, want)
					}
				}
				if tc.after != nil {
					l.until(token + time.Minute)
					w.apply(*tc.after, tc.afterwise)
				}
				l.until(2 * time.Hour)
				l.ends(tc.reason, tc.cause, tc.ends)
			})
		})
	}
}

// TestExpiredTokenOpensNothing: an expired token opens no session, however long a session
// may outlive it.
func TestExpiredTokenOpensNothing(t *testing.T) {
	w := newWorld(t, limited(policy.Limits{OutliveTokenSeconds: 3600}))
	w.caller.ExpiresAt = time.Now().Add(-time.Second)
	if _, err := w.authenticate().Authorize(t.Context()); reason(err) != ReasonCredential {
		t.Errorf("Authorize: %v", err)
	}
	if _, err := w.authenticate().Review(t.Context(), nil); reason(err) != ReasonCredential {
		t.Errorf("Review: %v", err)
	}
}
