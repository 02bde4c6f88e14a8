// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// TestReview: what would keep a session from doing it keeps the answer from being yes,
// and what would keep the question from being decided keeps it from being answered.
func TestReview(t *testing.T) {
	op := &policy.Operation{Accesses: []policy.Access{{Action: "select", Resource: "public.orders"}}}
	failing := rules{connect: decision(policy.Allow), decide: decision(policy.Allow), err: errBoom}
	cases := map[string]struct {
		reason string
		rules  rules
		spoil  func(*world)
		effect policy.Effect
		why    Reason
		none   bool // there is no answer
	}{
		"Allowed":   {reason: "as a session would", rules: allowing, effect: policy.Allow},
		"Approval":  {reason: "as a session would", rules: asking, effect: policy.RequireApproval},
		"NotMapped": {reason: "nobody could tell him from his approver", rules: asking, spoil: func(w *world) { w.caller.KubernetesUser = "" }, effect: policy.Deny, why: ReasonRequesterNotMapped},
		"Expired":   {reason: "the token ended meanwhile", rules: allowing, spoil: func(w *world) { w.caller.ExpiresAt = time.Now().Add(-time.Second) }, why: ReasonCredential, none: true},
		"Engine":    {reason: "policies that cannot be evaluated answer nothing", rules: failing, why: ReasonUnavailable, none: true},
		"Unlisted":  {reason: "nothing", rules: rules{}, effect: policy.Deny, why: ReasonNotAllowed},
		"Role": {
			reason: "policies disagree about the role", rules: rules{connect: decision(policy.Allow), roleErr: &policy.ConflictError{Roles: []policy.TargetRole{{Policy: ref, Role: "r"}}}},
			effect: policy.Deny, why: ReasonTargetRole,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.rules)
			if tc.spoil != nil {
				tc.spoil(w)
			}
			got, err := w.authenticate().Review(context.Background(), op)
			if (err != nil) != tc.none || tc.none && reason(err) != tc.why || !tc.none && (got.Effect != tc.effect || got.Reason != tc.why) {
				t.Fatalf("Review() = %+v, %v: %s", got, err, tc.reason)
			}
			event := w.last(record.AccessReviewed)
			if event.ReasonCode != tc.why || (event.Decision == nil) != tc.none || !tc.none && event.Decision.Effect != tc.effect || event.Actor.UserName != "alice" {
				t.Errorf("on record: %+v: %s", event, tc.reason)
			}
			if got != nil && strings.Contains(got.Message, ref.Policy) {
				t.Errorf("the answer names a policy: %q", got.Message)
			}
			if w.gate.Sessions() != 0 || len(w.log.OfType(record.SessionStart))+len(w.log.OfType(record.OperationDecided)) != 0 {
				t.Errorf("a question left a session: %s", tc.reason)
			}
		})
	}
}

// TestReviewCanceled: a caller who leaves before the answer is decided is on record all
// the same, and gets none.
func TestReviewCanceled(t *testing.T) {
	w := newWorld(t, allowing)
	caller := w.authenticate()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.gate.Drain()
	if got, err := caller.Review(ctx, nil); got != nil || reason(err) != ReasonDraining {
		t.Errorf("Review() = %v, %v", got, err)
	}
	if event := w.last(record.AccessReviewed); event.Decision != nil || event.ReasonCode != ReasonDraining {
		t.Errorf("on record: %+v", event)
	}
}

// TestPermitted: a list without the engine's word of what it rests on says that it is
// none, and bounds hold whichever policy they are of.
func TestPermitted(t *testing.T) {
	w := newWorld(t, rules{connect: decision(policy.Allow), limits: []policy.Limits{
		{SessionSeconds: 100, RowsPerStatement: 5, Windows: []policy.Window{{Seconds: 60, Rows: 9}, {Seconds: 60, Rows: 9}}}, {SessionSeconds: 50, RowsPerStatement: 10},
	}})
	got, err := w.authenticate().Review(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Permitted.Incomplete || got.Limits.SessionSeconds != 50 || got.Limits.RowsPerStatement != 5 || len(got.Limits.Windows) != 1 || time.Until(got.Until) > 50*time.Second {
		t.Errorf("Review() = %+v", got)
	}
}
