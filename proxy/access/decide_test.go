// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/recordtest"
)

func TestDecideRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		rules  rules
		spoil  func(*world, *Grant)
		ask    func(*Ask)
		want   Reason
	}{
		"DefaultDeny": {reason: "no rule, no operation", rules: rules{connect: decision(policy.Allow)}, want: ReasonNotAllowed},
		"Denied": {
			reason: "a Deny is named", rules: rules{connect: decision(policy.Allow), decide: decision(policy.Deny)}, want: ReasonDenied,
		},
		"Protocol": {
			reason: "what the protocol never forwards no policy allows", rules: allowing,
			ask:  func(a *Ask) { a.Refuse = &Refusal{Reason: ReasonProtocol, Message: "never"} },
			want: ReasonProtocol,
		},
		"CannotMask": {
			reason: "an answer that cannot be masked is not fetched", rules: allowing,
			ask: func(a *Ask) { a.CheckMasks = func(mask.Rules) error { return errBoom } }, want: ReasonMasked,
		},
		"NoMaskCheck": {
			reason: "a protocol that does not say whether it can mask cannot", rules: allowing,
			ask: func(a *Ask) { a.CheckMasks = nil }, want: ReasonMasked,
		},
		"CannotHold": {
			reason: "a protocol that cannot tell its caller cannot hold", rules: asking,
			ask: func(a *Ask) { a.Hold = nil }, want: ReasonNotAllowed,
		},
		"NotMapped": {
			reason: "requester and approver could not be told apart", rules: asking,
			spoil: func(_ *world, g *Grant) { g.principal.KubernetesUser = "" }, want: ReasonRequesterNotMapped,
		},
		"ApprovalUnavailable": {
			reason: "without the API server nobody can be asked", rules: asking,
			spoil: func(w *world, _ *Grant) { w.approvals.err = errBoom }, want: ReasonUnavailable,
		},
		"NoTerms": {
			reason: "approval by nobody in particular is none",
			rules:  rules{connect: decision(policy.Allow), decide: decision(policy.RequireApproval)}, want: ReasonUnavailable,
		},
		"Ended": {
			reason: "an ended session decides nothing", rules: allowing,
			spoil: func(_ *world, g *Grant) { g.End(ErrTerminated) }, want: ReasonSessionEnded,
		},
		"Closed": {
			reason: "a closed session decides nothing", rules: allowing,
			spoil: func(_ *world, g *Grant) { g.Close("left") }, want: ReasonSessionEnded,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.rules)
			grant := w.authorize()
			if c.spoil != nil {
				c.spoil(w, grant)
			}
			ask := statement()
			if c.ask != nil {
				c.ask(&ask)
			}
			permit, err := grant.Decide(context.Background(), ask)
			if permit != nil || reason(err) != c.want {
				t.Fatalf("Decide() = %v, %v, want reason %s: %s", permit, err, c.want, c.reason)
			}
			got := w.log.OfType(record.OperationDecided)
			if len(got) != 1 || got[0].Decision.Effect != policy.Deny || got[0].Reason != string(c.want) || got[0].ReasonCode != c.want || got[0].Operation.Digest == "" {
				t.Errorf("records of the refusal: %+v, want one Deny with its reason and digest", got)
			}
			if open := grant.openPermits(); len(open) != 0 {
				t.Errorf("open permits: %d, want none", len(open))
			}
		})
	}
}

func TestDecideEngineFails(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	grant.gate.state.Store(&state{snapshot: grant.opened.snapshot, engine: policytest.Engine(rules{err: errBoom}), verifier: w})
	if _, err := grant.Decide(context.Background(), statement()); reason(err) != ReasonUnavailable {
		t.Errorf("Decide() = %v, want %s: an engine that fails allows nothing", err, ReasonUnavailable)
	}
}

// checklist 42: record before execute. The permit must not exist while its
// record is not durable.
func TestDecisionIsDurableBeforeThePermitExists(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	release := w.log.Hold()
	decided := make(chan *Permit)
	go func() {
		permit, _ := grant.Decide(context.Background(), statement())
		decided <- permit
	}()
	select {
	case <-decided:
		t.Fatal("the permit exists while its record is being written")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	permit := <-decided
	if permit == nil {
		t.Fatal("no permit after the log took the record")
	}
	permit.Done(record.Result{Outcome: "Succeeded", Rows: 1})
	permit.Done(record.Result{Outcome: "Failed"})
	if got := w.log.OfType(record.OperationResult); len(got) != 1 || got[0].Result.Outcome != "Succeeded" || got[0].OperationID != permit.Operation() {
		t.Errorf("results: %+v, want one, the first", got)
	}
}

// checklist 42: a log that does not take the record refuses the operation.
func TestDecideNeedsTheRecord(t *testing.T) {
	cases := map[string]rules{"Allow": allowing, "Deny": {connect: decision(policy.Allow)}, "RequireApproval": asking}
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, r)
			grant := w.authorize()
			w.log.Fail(errBoom)
			permit, err := grant.Decide(context.Background(), statement(func(a *Ask) {
				a.Hold = func(Notice) { t.Error("the caller is told to wait, and nothing is on record") }
			}))
			if permit != nil || !errors.Is(err, errBoom) {
				t.Errorf("Decide() = %v, %v, want nothing usable and the log's error as the cause", permit, err)
			}
		})
	}
}

// unsettled takes every record and does not know whether it will last, as a log
// does whose sink did not answer in time.
type unsettled struct{ *recordtest.Log }

func (u unsettled) Append(ctx context.Context, event record.Event) (record.Position, error) {
	if _, err := u.Log.Append(ctx, event); err != nil {
		return record.Position{}, err
	}
	return record.Position{}, fmt.Errorf("%w: %w", record.ErrUnsettled, errBoom)
}

// TestDecisionThatMayBeOnRecordGetsAResult: the log may say that an operation was
// let through which was not forwarded; so it has to say that, too.
func TestDecisionThatMayBeOnRecordGetsAResult(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	w.gate.config.Log = unsettled{w.log}
	permit, err := grant.Decide(context.Background(), statement())
	if permit != nil || reason(err) != ReasonUnavailable || !errors.Is(err, errBoom) {
		t.Errorf("Decide() = %v, %v, want nothing usable and the log's error as the cause", permit, err)
	}
	got := w.log.OfType(record.OperationResult)
	if len(got) != 1 || got[0].Result.Outcome != "Canceled" || got[0].OperationID != 1 || got[0].Reason != notForwarded {
		t.Errorf("results: %+v, want one that says that the operation was not forwarded", got)
	}
	if open := grant.openPermits(); len(open) != 0 {
		t.Errorf("open permits: %d, want none", len(open))
	}
}

func TestResultThatCannotBeRecordedEndsTheSession(t *testing.T) {
	w := newWorld(t, allowing)
	grant := w.authorize()
	permit, err := grant.Decide(context.Background(), statement())
	if err != nil {
		t.Fatal(err)
	}
	w.log.Fail(errBoom)
	permit.Done(record.Result{Outcome: "Succeeded"})
	if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrRecord) || strings.Contains(cause.Error(), errBoom.Error()) {
		t.Errorf("cause = %v, want %v and nothing of the log's own error, which is not the caller's to know", cause, ErrRecord)
	}
}

func TestCanceledOperationIsRecordedAsRefused(t *testing.T) {
	w := newWorld(t, asking)
	grant := w.authorize()
	ctx, cancel := context.WithCancel(context.Background())
	_, err := grant.Decide(ctx, statement(func(a *Ask) { a.Hold = func(Notice) { cancel() } }))
	if reason(err) != ReasonCanceled {
		t.Errorf("Decide() = %v, want %s", err, ReasonCanceled)
	}
	if got := w.log.OfType(record.OperationDecided); len(got) != 1 || got[0].Decision.Effect != policy.Deny {
		t.Errorf("records: %+v, want the refusal although the context is gone", got)
	}
}

// checklist 36: revocation ends what runs, and what is being decided is decided anew.
func TestInFlightIsJudgedAgain(t *testing.T) {
	masked := allowing
	masked.masks = []policy.Mask{cards}
	cases := map[string]struct {
		reason string
		next   rules
		ends   bool
	}{
		"Denied":      {reason: "what runs is no longer allowed", next: rules{connect: decision(policy.Allow)}, ends: true},
		"NowApproval": {reason: "what runs would have needed approval", next: asking, ends: true},
		"Masked":      {reason: "the answer would show what is masked now", next: masked, ends: true},
		"Failing":     {reason: "an engine that fails allows nothing", next: rules{connect: decision(policy.Allow), decide: decision(policy.Allow), err: errBoom}, ends: true},
		"Same":        {reason: "nothing was taken away", next: allowing},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			running, deciding := w.authorize(), w.authorize()
			permit, err := running.Decide(context.Background(), statement())
			if err != nil {
				t.Fatal(err)
			}
			// The change comes while the second session's record is being written.
			release := w.log.Hold()
			decided := make(chan error, 1)
			go func() {
				permit, err := deciding.Decide(context.Background(), statement())
				if err == nil {
					permit.Done(record.Result{Outcome: "Succeeded"})
				}
				decided <- err
			}()
			await(t, func() bool { return len(deciding.openPermits()) == 1 })
			applied := make(chan error, 1)
			go func() { applied <- w.tryApply(c.next) }()
			release()
			if err := <-applied; err != nil {
				t.Fatal(err)
			}
			cause := context.Cause(running.Context())
			if got := errors.Is(cause, ErrRevoked); got != c.ends {
				t.Errorf("running: cause = %v, ended = %t, want %t: %s", cause, got, c.ends, c.reason)
			}
			// Whichever came first, a permit that is still good and a forbidding
			// rule in force never stand together.
			if err := <-decided; err == nil && c.ends && context.Cause(deciding.Context()) == nil && len(deciding.openPermits()) > 0 {
				t.Errorf("deciding: forwarded under rules that forbid it: %s", c.reason)
			}
			permit.Done(record.Result{Outcome: "Succeeded"})
		})
	}
}

// await polls a condition of another goroutine, which has no event to wait for.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for range 5000 {
		if done() {
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Fatal("waited in vain")
}

// A change of rules between decision and durable record takes effect.
func TestRulesChangeWhileTheRecordIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		grant := w.authorize()
		release := w.log.Hold()
		decided := make(chan error, 1)
		go func() {
			_, err := grant.Decide(context.Background(), statement())
			decided <- err
		}()
		synctest.Wait()
		// What Apply does once its own record is written.
		next := &state{snapshot: grant.opened.snapshot, engine: policytest.Engine(rules{connect: decision(policy.Allow)}), verifier: w}
		w.gate.state.Store(next)
		w.gate.judge(context.Background(), next)
		release()
		if err := <-decided; reason(err) != ReasonApprovalVoid {
			t.Errorf("Decide() = %v, want %s: the operation is not allowed any more", err, ReasonApprovalVoid)
		}
		if got := w.log.OfType(record.OperationResult); len(got) != 1 || got[0].Result.Outcome != "Canceled" {
			t.Errorf("results: %+v, want one that says that nothing was forwarded", got)
		}
	})
}

func TestDigestTellsOperationsApart(t *testing.T) {
	// checklist 34: an approval is for exactly one operation.
	w := newWorld(t, allowing)
	grant := w.authorize()
	base := record.Operation{Protocol: "postgres", Statement: "UPDATE a", ParametersDigest: "x"}
	seen := map[string]record.Operation{}
	for _, op := range []record.Operation{
		base,
		{Protocol: "postgres", Statement: "UPDATE ax"},
		{Protocol: "postgres", Statement: "UPDATE a", ParametersDigest: "y"},
		{Protocol: "postgresU", Statement: "PDATE a", ParametersDigest: "x"},
		{Protocol: "postgres", Statement: "UPDATE", ParametersDigest: " ax"},
	} {
		digest := grant.digest(&op)
		if other, found := seen[digest]; found {
			t.Errorf("%+v and %+v have the same digest", op, other)
		}
		seen[digest] = op
	}
	grant.principal.Subject = "2"
	if _, found := seen[grant.digest(&base)]; found {
		t.Error("another subject has the same digest")
	}
}

func TestConcurrentApplyDecideEnd(t *testing.T) {
	w := newWorld(t, allowing)
	var group sync.WaitGroup
	for range 4 {
		grant := w.authorize()
		group.Go(func() {
			for range 50 {
				permit, err := grant.Decide(context.Background(), statement())
				if err == nil {
					permit.Done(record.Result{Outcome: "Succeeded"})
				}
			}
			grant.Close("left")
		})
	}
	group.Go(func() {
		masked := allowing
		masked.masks = []policy.Mask{cards}
		for i := range 50 {
			next := allowing
			if i%2 == 0 {
				next = masked
			}
			if err := w.tryApply(next); err != nil {
				t.Error(err)
			}
			w.gate.Heartbeat(0)
		}
	})
	group.Wait()
	if got := w.gate.Sessions(); got != 0 {
		t.Errorf("sessions left: %d", got)
	}
	starts, ends := w.log.OfType(record.SessionStart), w.log.OfType(record.SessionEnd)
	if diff := cmp.Diff(len(starts), len(ends)); diff != "" {
		t.Errorf("starts and ends differ (-starts +ends):\n%s", diff)
	}
}

func TestPreview(t *testing.T) {
	w := newWorld(t, asking)
	grant := w.authorize()
	effect, err := grant.Preview(context.Background(), policy.Operation{})
	if err != nil || effect != policy.RequireApproval {
		t.Errorf("Preview() = %s, %v", effect, err)
	}
	if got := w.log.OfType(record.OperationDecided); len(got) != 0 {
		t.Errorf("a preview is on record: %+v", got)
	}
}
