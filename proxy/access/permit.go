// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Permit allows one operation to be forwarded. Done must be called once.
type Permit struct {
	grant *Grant
	id    uint64
	op    policy.Operation
	began time.Time
	// What the records of the operation are made of: one piece of memory.
	ask      Ask
	decision record.Decision
	result   record.Result
	done     atomic.Bool
	// pending is the record of a decision that was not waited for.
	pending record.Pending
	answer  *Answer
	// course, approval and voided are for those who watch; voided is why the
	// decision could not be acted on any more.
	course   course
	approval *record.Approval
	voided   Reason
	// would is what policies in mode Audit would have changed; nil for nothing.
	would *would
	// rests are the approvals of scope Session that the operation rests on.
	rests []*SessionApproval
	// answering says that the answer has begun.
	answering bool

	// The grant's mu guards the fields below. Only the goroutine that decides
	// writes them, but for tapes, so that it reads them without.
	phase  phase
	effect policy.Effect
	view   *view
	// meter is nil where nothing is limited.
	meter *Meter
	// stale ends a hold whose rules changed.
	stale context.CancelCauseFunc
	// tapes are the recordings of the operation.
	tapes []*tape
}

// phase says who judges a permit when the rules change: a running one is judged
// by whoever changes them, one being decided by its own Decide.
type phase int

const (
	deciding phase = iota
	held
	running
)

// Masks are the masks in force for the answer.
func (p *Permit) Masks() mask.Rules { return p.view.rules }

// Meter counts what is returned to the caller; nil where no limit holds. Whatever
// leaves is counted before, and what it refuses does not leave.
func (p *Permit) Meter() *Meter { return p.meter }

// Durable returns once the decision's record can no longer be lost. A protocol
// calls it before any byte of the operation's answer goes to the caller; an
// error is a *Refusal, and ends the session without the answer. It is for one
// goroutine.
func (p *Permit) Durable(ctx context.Context) error {
	p.lap(&p.course.took.Forward)
	p.answering = true
	if p.pending == nil {
		return nil
	}
	pending := p.pending
	p.pending = nil
	_, err := pending.Wait(ctx)
	p.lap(&p.course.took.Record)
	if err != nil {
		return p.grant.gate.unrecorded("the record could not be written, so the answer is withheld", err)
	}
	return nil
}

// Answer collects what the record is to keep of the answer; nil for nothing.
func (p *Permit) Answer() *Answer { return p.answer }

// Operation is the operation's number within its session.
func (p *Permit) Operation() uint64 { return p.id }

// Done puts the result on record. Duration is filled in where it is zero.
func (p *Permit) Done(result record.Result) { p.finish(result, "") }

func (p *Permit) finish(result record.Result, reason string) {
	if p.done.Swap(true) {
		return
	}
	g := p.grant
	now := time.Now()
	g.active.Store(now.UnixNano())
	began, revision := g.forget(p)
	g.stopTapes(p)
	code := p.voided
	if refusal := p.meter.refused(); refusal != nil {
		code = cmp.Or(code, refusal.Reason)
		result.Outcome, result.ErrorCode = "Failed", cmp.Or(result.ErrorCode, refusal.Code)
		reason = cmp.Or(reason, refusal.Message)
	}
	if result.Duration == 0 {
		result.Duration = now.Sub(began)
	}
	result.Response = p.answer.result()
	p.result = result
	p.observe(now)
	// The result may follow the answer (promise 2); recovery says "unknown"
	// where it is missing.
	if err := g.gate.config.Log.AppendLater(record.Event{
		Type: record.OperationResult, Session: g.id, Connection: recordConnection(g.opened.snapshot.Connection),
		Revision: revision, Actor: &g.principal, ClientAddress: g.client, OperationID: p.id, Result: &p.result, Reason: reason,
		ReasonCode: code, Memo: &g.memo,
	}); err != nil {
		// The caller learns that, not why: the cause names the inside of the proxy.
		refusal := g.gate.unrecorded(ErrRecord.Error(), fmt.Errorf("%w: %w", ErrRecord, err))
		g.gate.tell(refusal)
		g.End(refusal)
	}
}

// judge says whether an operation that runs, or is held, may go on under a new
// view: what was allowed must still be allowed under the same masks.
func (p *Permit) judge(ctx context.Context, next *view) error {
	g := p.grant
	g.mu.Lock()
	at, effect, was, stale, meter := p.phase, p.effect, p.view, p.stale, p.meter
	g.mu.Unlock()
	if at == running && meter == nil && !next.limits.none() {
		return fmt.Errorf("%w: limits now hold for an operation that was running without any", ErrRevoked)
	}
	if at == deciding || at == running && was == next {
		return nil
	}
	decision, err := next.standing.Decide(ctx, p.op, next.at)
	refused := err != nil || decision.Effect == policy.Deny
	switch {
	case at == held && refused:
		stale(ErrRevoked)
	case at == held:
	case refused || effect == policy.Allow && decision.Effect != policy.Allow:
		return fmt.Errorf("%w: the operation that was running is no longer allowed", ErrRevoked)
	case decision.Effect == policy.RequireApproval && asksMore(p.decision.Rules, decision.Rules):
		return fmt.Errorf("%w: the operation that was running now needs an approval that it does not have", ErrRevoked)
	case !reflect.DeepEqual(was.list, next.list):
		return fmt.Errorf("%w: the masks changed while an operation was running", ErrRevoked)
	}
	return nil
}

// asksMore says whether rules ask for an approval that are not among those which asked when
// an operation was let go. Another generation of a policy asks for nothing by itself: what
// rests on approvals for a time ends with it anyhow.
func asksMore(then, now []policy.RuleRef) bool {
	return slices.ContainsFunc(now, func(rule policy.RuleRef) bool {
		return !slices.ContainsFunc(then, func(known policy.RuleRef) bool { return known.UID == rule.UID && known.Rule == rule.Rule })
	})
}
