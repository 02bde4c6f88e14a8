// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// inside is what only operators may read of a decision.
const inside = "AccessPolicy \"shop\": spec.rego: 7:3: out of steps"

// TestCauseOnRecord: why policies refused is on record and in nothing that a caller gets.
func TestCauseOnRecord(t *testing.T) {
	failed := func(rules ...policy.RuleRef) policy.Decision {
		return policy.Decision{Effect: policy.Deny, Rules: rules, Message: "AccessPolicy \"shop\" cannot decide it", Cause: inside}
	}
	would := func(d policy.Decision) policy.Decision {
		audit := failed(strict)
		d.Audit = &audit
		return d
	}
	cases := map[string]struct {
		reason  string
		rules   rules
		session bool
		want    record.Decision
		refused Reason
	}{
		"Module": {
			reason: "a module that failed refuses", rules: rules{connect: decision(policy.Allow), decide: failed(ref)}, refused: ReasonDenied,
			want: record.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{ref}, Cause: inside},
		},
		"NoRule": {
			reason: "a condition keeps the rule away that would allow it", rules: rules{connect: decision(policy.Allow), decide: failed()}, refused: ReasonNotAllowed,
			want: record.Decision{Effect: policy.Deny, Cause: inside},
		},
		"Engine": {
			reason: "policies that give no answer refuse", rules: rules{connect: decision(policy.Allow), decide: decision(policy.Allow), err: errBoom}, refused: ReasonUnavailable,
			want: record.Decision{Effect: policy.Deny, Cause: "the policies could not be evaluated: boom"},
		},
		"Audit": {
			reason: "a module in mode Audit that failed refuses nothing", rules: rules{connect: decision(policy.Allow), decide: would(decision(policy.Allow))},
			want: record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref}, Audit: &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict}, Cause: inside}},
		},
		"AuditDenied": {
			reason: "nor does what is refused anyway say less of it", rules: rules{connect: decision(policy.Allow), decide: would(policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{ref}})}, refused: ReasonDenied,
			want: record.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{ref}, Audit: &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict}, Cause: inside}},
		},
		"Session": {
			reason: "a session is refused for the same reasons", rules: rules{connect: failed()}, session: true, refused: ReasonNotAllowed,
			want: record.Decision{Effect: policy.Deny, Cause: inside},
		},
		"SessionEngine": {
			reason: "also where there is no answer", rules: rules{err: errBoom}, session: true, refused: ReasonUnavailable,
			want: record.Decision{Effect: policy.Deny, Cause: "the policies could not be evaluated: boom"},
		},
		"SessionAudit": {
			reason: "a session that would have been refused says why", rules: rules{connect: would(decision(policy.Allow)), decide: decision(policy.Allow)}, session: true,
			want: record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref}, Audit: &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict}, Cause: inside}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			kind, err := record.OperationDecided, error(nil)
			if tc.session {
				kind = record.SessionStart
				if tc.refused != "" {
					kind = record.SessionRefused
				}
				w.apply(tc.rules)
				var g *Grant
				if g, err = w.authenticate().Authorize(context.Background()); err == nil {
					defer g.Close("")
				}
			} else {
				g := w.authorize()
				defer g.Close("")
				w.gate.state.Store(&state{snapshot: g.opened.snapshot, engine: policytest.Engine(tc.rules), verifier: w})
				var permit *Permit
				if permit, err = g.Decide(context.Background(), statement()); err == nil {
					permit.Done(record.Result{Outcome: "Succeeded"})
				}
			}
			if reason(err) != tc.refused {
				t.Fatalf("%s: %v, want reason %q", tc.reason, err, tc.refused)
			}
			event := w.last(kind)
			got := *event.Decision
			got.Message = ""
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" || event.ReasonCode != tc.refused {
				t.Errorf("%s: %q: -want +got:\n%s", tc.reason, event.ReasonCode, diff)
			}
			if err == nil {
				return
			}
			refusal := AsRefusal(err)
			for _, told := range []string{refusal.Error(), refusal.Hint, refusal.Detail(), event.Reason} {
				if strings.Contains(told, "spec.rego") || strings.Contains(told, "boom") {
					t.Errorf("%s: the caller reads the cause: %q", tc.reason, told)
				}
			}
		})
	}
}

// TestReasonCodes: what is refused, cut off or ended says why as a word.
func TestReasonCodes(t *testing.T) {
	w := newWorld(t, allowing)
	if err := w.entry().Reject(t.Context(), "no TLS"); err != nil {
		t.Fatal(err)
	}
	if got := w.last(record.AuthenticationFailed).ReasonCode; got != ReasonHandshake {
		t.Errorf("a client that is turned away: %q", got)
	}
	for cause, want := range map[error]Reason{ErrRevoked: EndRevoked, ErrIdle: EndIdle, nil: EndClosed} {
		g := w.authorize()
		if cause != nil {
			g.End(cause)
		}
		g.Close("bye")
		if got := w.last(record.SessionEnd).ReasonCode; got != want {
			t.Errorf("a session that ends for %v: %q, want %q", cause, got, want)
		}
	}
	w.verifyErr = errBoom
	if _, err := w.entry().Authenticate(t.Context(), identity.BearerToken("token")); err == nil {
		t.Fatal("nobody is proven")
	}
	if got := w.last(record.AuthenticationFailed).ReasonCode; got != ReasonUnavailable {
		t.Errorf("a token that cannot be checked: %q", got)
	}
}

// TestHints: a hint names a command only to those who may run it.
func TestHints(t *testing.T) {
	for cluster, want := range map[bool]string{
		false: "See the rule: kubectl -n data get accesspolicy shop -o yaml",
		true:  "Ask an admin of the cluster about the rule: kubectl get clusteraccesspolicy shop -o yaml",
	} {
		denied := ref
		denied.Cluster = cluster
		w := newWorld(t, rules{connect: decision(policy.Allow), decide: policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{denied}}})
		g := w.authorize()
		_, err := g.Decide(t.Context(), statement())
		g.Close("")
		if AsRefusal(err).Hint != want {
			t.Errorf("got %q, want %q", AsRefusal(err).Hint, want)
		}
	}
}

// TestHintOfConditions: whom nothing allows learns that it may be the time or the place,
// and not which.
func TestHintOfConditions(t *testing.T) {
	conditional := func(s *snapshot.Snapshot) {
		s.Policies.Policies = append(s.Policies.Policies[:1:1], policy.Policy{Name: "night", When: []policy.Condition{{Sources: []string{"10.99.0.0/16"}}}})
	}
	denied := allowing
	denied.decide = decision(policy.Deny)
	cases := map[string]struct {
		reason string
		rules  rules
		change func(*snapshot.Snapshot)
		hint   bool
	}{
		"Conditions": {reason: "it may be the time or the place", rules: rules{connect: decision(policy.Allow)}, change: conditional, hint: true},
		"None":       {reason: "no policy has conditions", rules: rules{connect: decision(policy.Allow)}, change: func(*snapshot.Snapshot) {}},
		"Denied":     {reason: "a rule forbids it", rules: denied, change: conditional},
		"Connect":    {reason: "so for a session", change: conditional, hint: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.rules)
			w.apply(tc.rules, tc.change)
			g, err := w.authenticate().Authorize(t.Context())
			if err == nil {
				defer g.Close("")
				_, err = g.Decide(t.Context(), statement())
			}
			hint := AsRefusal(err).Hint
			if strings.Contains(hint, "certain times") != tc.hint || strings.Contains(hint, "night") || strings.Contains(hint, "10.99") {
				t.Errorf("%s: %s", tc.reason, hint)
			}
		})
	}
}
