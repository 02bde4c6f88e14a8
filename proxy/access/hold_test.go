// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// whileHeld runs a Decide that is held, and gives what was asked for to the test.
func whileHeld(t *testing.T, w *world, grant *Grant, test func(*request)) (*Permit, error) {
	t.Helper()
	type outcome struct {
		permit *Permit
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		permit, err := grant.Decide(context.Background(), statement())
		done <- outcome{permit, err}
	}()
	r := <-w.approvals.asked
	synctest.Wait()
	test(r)
	o := <-done
	return o.permit, o.err
}

func TestHold(t *testing.T) {
	changed := policy.RuleRef{Policy: "shop", UID: "p-1", Generation: 2, Rule: "all"}
	stillAsking := rules{connect: decision(policy.Allow), decide: needsApproval(changed)}
	approve := func(_ *world, _ *Grant, r *request) {
		r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:bob"}}
	}
	decide := func(o Outcome) func(*world, *Grant, *request) {
		return func(_ *world, _ *Grant, r *request) { r.outcome <- o }
	}
	cases := map[string]struct {
		reason string
		then   func(*world, *Grant, *request)
		want   Reason // "" means that the operation may be forwarded
		used   int
		record string // Approval.Outcome on record
		// late is how long the watch takes to bring the outcome.
		late time.Duration
	}{
		"Approved": {reason: "an approval lets it go, marked used before", then: approve, used: 1, record: Approved},
		"Denied":   {reason: "an approver said no", then: decide(Outcome{State: Denied, Approvers: []string{"oidc:bob"}, Message: "not now"}), want: ReasonApprovalDenied, record: Denied},
		"Stale":    {reason: "checklist 33: the manager saw an edit", then: decide(Outcome{State: Stale}), want: ReasonApprovalVoid, record: Stale},
		"Void":     {reason: "the manager does not trust it", then: decide(Outcome{State: Void}), want: ReasonApprovalVoid, record: Void},
		"Expired":  {reason: "the manager's clock ended it", then: decide(Outcome{State: Expired}), want: ReasonApprovalTimeout, record: Expired},
		"Timeout":  {reason: "the shortest of the terms' times ends the wait", then: func(*world, *Grant, *request) {}, want: ReasonApprovalTimeout, record: Expired},
		"TooLate": {
			reason: "checklist 36: an approval that comes after its end is none", want: ReasonApprovalTimeout, record: Expired,
			late: time.Minute, then: approve,
		},
		"UseFails": {
			reason: "checklist 35: an approval that could not be marked is not used", want: ReasonApprovalVoid, used: 1,
			then: func(w *world, g *Grant, r *request) { r.useErr = errBoom; approve(w, g, r) },
		},
		"UseTooLate": {
			reason: "checklist 33: the manager saw an edit after it had approved", want: ReasonApprovalVoid, used: 1, record: Stale,
			then: func(w *world, g *Grant, r *request) {
				r.useErr = fmt.Errorf("cannot use: %w", &OverError{Outcome: Outcome{State: Stale}})
				approve(w, g, r)
			},
		},
		"PolicyEdited": {
			reason: "checklist 33: the rule was edited between request and use", want: ReasonApprovalVoid,
			then: func(w *world, g *Grant, r *request) { w.apply(stillAsking); approve(w, g, r) },
		},
		"ConnectionEdited": {
			reason: "checklist 33: the connection was edited between request and use", want: ReasonApprovalVoid,
			then: func(w *world, g *Grant, r *request) {
				w.apply(asking, func(s *snapshot.Snapshot) { s.Connection.Generation++ })
				approve(w, g, r)
			},
		},
		"PolicyEditedDuringUse": {
			reason: "checklist 33: the rule was edited after the check and before the forwarding", want: ReasonApprovalVoid, used: 1,
			then: func(w *world, g *Grant, r *request) { r.using = func() { w.apply(stillAsking) }; approve(w, g, r) },
		},
		"RevokedDuringUse": {
			reason: "checklist 36: the right went away after the check and before the forwarding", want: ReasonApprovalVoid, used: 1,
			then: func(w *world, g *Grant, r *request) {
				r.using = func() { w.apply(rules{connect: decision(policy.Allow)}) }
				approve(w, g, r)
			},
		},
		"Revoked": {
			reason: "checklist 36: a Deny ends the wait at once", want: ReasonApprovalVoid, record: "Withdrawn",
			then: func(w *world, _ *Grant, _ *request) { w.apply(rules{connect: decision(policy.Allow)}) },
		},
		"NowAllowed": {
			reason: "a rule that now allows it needs no approval, but the wait goes on until there is one", used: 1, record: Approved,
			then: func(w *world, g *Grant, r *request) { w.apply(allowing); approve(w, g, r) },
		},
		"SessionEnded": {
			reason: "a held operation dies with its session", want: ReasonSessionEnded, record: "Withdrawn",
			then: func(_ *world, g *Grant, _ *request) { g.End(ErrTerminated) },
		},
		"SessionRevoked": {
			reason: "the session's end is what the caller hears", want: ReasonSessionEnded, record: "Withdrawn",
			then: func(w *world, _ *Grant, _ *request) { w.apply(rules{}) },
		},
		"ProxyStale": {
			reason: "without proof of freshness no approval is used", want: ReasonSessionEnded,
			then: func(w *world, g *Grant, r *request) { w.gate.Close(ErrStale); approve(w, g, r) },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, asking)
				defer w.gate.Close(ErrDraining)
				w.approvals.late = c.late
				grant := w.authorize()
				var asked *request
				permit, err := whileHeld(t, w, grant, func(r *request) {
					asked = r
					if got := w.log.OfType(record.OperationHeld); len(got) != 1 || got[0].Approval.Request != "shop-x" {
						t.Errorf("while held, on record: %+v, want the request", got)
					}
					c.then(w, grant, r)
				})
				if reason(err) != c.want || (permit == nil) == (c.want == "") {
					t.Fatalf("Decide() = %v, %v, want reason %q: %s", permit, err, c.want, c.reason)
				}
				if got := asked.uses(); got != c.used {
					t.Errorf("used %d times, want %d: %s", got, c.used, c.reason)
				}
				decided := w.log.OfType(record.OperationDecided)
				if len(decided) != 1 {
					t.Fatalf("decisions on record: %+v, want one", decided)
				}
				if c.record != "" && decided[0].Approval.Outcome != c.record {
					t.Errorf("approval on record: %+v, want outcome %s", decided[0].Approval, c.record)
				}
				if c.want == "" {
					if diff := cmp.Diff([]string{"oidc:bob"}, decided[0].Approval.Approvers); diff != "" {
						t.Errorf("approvers on record: -want +got:\n%s", diff)
					}
					permit.Done(record.Result{Outcome: "Succeeded"})
				} else if len(asked.withdrawn) == 0 && c.used == 0 {
					t.Error("the request was not withdrawn")
				}
				if open := grant.openPermits(); len(open) != 0 {
					t.Errorf("open permits: %d, want none", len(open))
				}
			})
		})
	}
}

func TestQuestionHoldsAllTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, asking)
		defer w.gate.Close(ErrDraining)
		grant := w.authorize()
		began := time.Now()
		_, _ = whileHeld(t, w, grant, func(r *request) {
			q := r.question
			if len(q.Terms) != 2 || !q.ExpiresAt.Equal(began.Add(time.Minute)) {
				t.Errorf("terms %+v until %s, want both, until the shorter time is over", q.Terms, q.ExpiresAt)
			}
			if q.Session != grant.Session() || q.Nonce == ([32]byte{}) || q.Operation.Digest == "" {
				t.Errorf("question %+v lacks session, nonce or digest", q)
			}
			r.outcome <- Outcome{State: Denied}
		})
	})
}

func TestMasksThatCameWhileHeldApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, asking)
		defer w.gate.Close(ErrDraining)
		grant := w.authorize()
		masked := asking
		masked.masks = []policy.Mask{cards}
		permit, err := whileHeld(t, w, grant, func(r *request) {
			w.apply(masked)
			r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:bob"}}
		})
		if err != nil {
			t.Fatal(err)
		}
		if permit.Masks().Empty() {
			t.Error("the answer would show what is masked now")
		}
		permit.Done(record.Result{Outcome: "Succeeded"})
	})
}

func TestMasksThatCannotBeMetWhileHeldRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, asking)
		defer w.gate.Close(ErrDraining)
		grant := w.authorize()
		masked := asking
		masked.masks = []policy.Mask{cards}
		done := make(chan error, 1)
		go func() {
			_, err := grant.Decide(context.Background(), statement(func(a *Ask) {
				a.CheckMasks = func(r mask.Rules) error {
					if r.Empty() {
						return nil
					}
					return errors.New("derived from a masked field")
				}
			}))
			done <- err
		}()
		r := <-w.approvals.asked
		w.apply(masked)
		r.outcome <- Outcome{State: Approved}
		if err := <-done; reason(err) != ReasonMasked {
			t.Errorf("Decide() = %v, want %s", err, ReasonMasked)
		}
		if r.uses() != 0 {
			t.Error("the approval was used for what is refused")
		}
	})
}
