// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Ask is one operation put before the Grant.
type Ask struct {
	Operation record.Operation
	// Refuse, where set, is the protocol's own reason why the operation can
	// never be forwarded. It is recorded like any other refusal.
	Refuse *Refusal
	// CheckMasks is asked whether the answer can be masked soundly under the
	// rules in force; an error is a refusal. Required: a protocol that cannot
	// mask answers with an error unless the rules are empty.
	CheckMasks func(mask.Rules) error
	// Hold tells the caller, in the protocol's words, that the operation waits
	// for approval. A protocol that cannot tell leaves it nil and is refused
	// what needs approval.
	Hold func(Notice)
}

// Notice is what a caller is told while an operation is held.
type Notice struct {
	Requests []Request
}

// Permit allows one operation to be forwarded. Done must be called once.
type Permit struct {
	grant  *Grant
	id     uint64
	op     policy.Operation
	effect policy.Effect
	masks  *maskState
	began  time.Time
	done   atomic.Bool
	// stale ends a hold whose rules changed; nil once the operation may run.
	stale context.CancelCauseFunc
}

// Masks are the masks in force for the answer.
func (p *Permit) Masks() mask.Rules { return p.masks.rules }

// Operation is the operation's number within its session.
func (p *Permit) Operation() uint64 { return p.id }

// Done puts the result on record. Duration is filled in where it is zero.
func (p *Permit) Done(result record.Result) {
	if p.done.Swap(true) {
		return
	}
	g := p.grant
	g.active.Store(time.Now().UnixNano())
	g.forget(p)
	if result.Duration == 0 {
		result.Duration = time.Since(p.began)
	}
	// The result may follow the answer (promise 2); recovery says "unknown"
	// where it is missing.
	if err := g.gate.config.Log.AppendLater(record.Event{
		Type: record.OperationResult, Session: g.id, Connection: recordConnection(g.opened.snapshot.Connection),
		Revision: p.masks.state.snapshot.Revision, OperationID: p.id, Result: &result,
	}); err != nil {
		g.End(fmt.Errorf("%w: %w", ErrRecord, err))
	}
}

// Preview decides without forwarding and without a record: for what prepares
// an operation, such as Parse. Whoever is told anything but Allow or
// RequireApproval calls Decide, so that the refusal is on record.
func (g *Grant) Preview(ctx context.Context, op policy.Operation) (policy.Effect, error) {
	st, err := g.gate.open()
	if err != nil {
		return policy.Deny, err
	}
	decision, err := st.engine.Decide(ctx, g.principal, op)
	if err != nil {
		return policy.Deny, unavailable("the policies could not be evaluated", "Ask the operators to look at the proxy's log.", err)
	}
	return decision.Effect, nil
}

// Decide decides one operation and puts the decision on record. Only a nil
// error means that the operation may be forwarded; then the Permit's Done must
// be called. Any other error is a *Refusal, recorded, or says that nothing can
// be recorded.
func (g *Grant) Decide(ctx context.Context, ask Ask) (*Permit, error) {
	g.active.Store(time.Now().UnixNano())
	op := policy.Operation{Accesses: ask.Operation.Accesses, Properties: ask.Operation.Properties}
	st, err := g.gate.open()
	if err != nil {
		return nil, g.refuse(ctx, g.gate.state.Load(), 0, &ask, AsRefusal(err), nil)
	}
	ask.Operation.Digest = g.digest(st, &ask.Operation)
	permit := &Permit{grant: g, op: op, masks: g.masksUnder(st), began: time.Now()}
	g.register(permit)

	decision, refusal := g.evaluate(ctx, st, permit, &ask)
	if refusal != nil {
		g.forget(permit)
		return nil, g.refuse(ctx, st, permit.id, &ask, refusal, nil)
	}
	permit.effect = decision.Effect
	var approval *record.Approval
	if decision.Effect == policy.RequireApproval {
		if st, approval, refusal = g.hold(ctx, st, permit, &ask, decision); refusal != nil {
			g.forget(permit)
			return nil, g.refuse(ctx, st, permit.id, &ask, refusal, approval)
		}
		permit.began = time.Now()
	}
	event := g.event(record.OperationDecided, st, permit.id, &ask.Operation)
	event.Decision = &record.Decision{Effect: decision.Effect, Rules: decision.Rules, Masks: permit.masks.rules.Names()}
	event.Approval = approval
	if _, err := g.gate.config.Log.Append(ctx, event); err != nil {
		g.forget(permit)
		return nil, unavailable("the record could not be written, so the operation was not forwarded", "Ask the operators to look at the proxy's disk.", err)
	}
	// The session may have been ended while the record became durable.
	if cause := context.Cause(g.ctx); cause != nil {
		permit.Done(record.Result{Outcome: "Canceled"})
		return nil, &Refusal{Reason: ReasonSessionEnded, Message: cause.Error(), cause: cause}
	}
	return permit, nil
}

// evaluate asks the protocol's own refusal, the engine and the masks, in this order.
func (g *Grant) evaluate(ctx context.Context, st *state, permit *Permit, ask *Ask) (policy.Decision, *Refusal) {
	var none policy.Decision
	if ask.Refuse != nil {
		return none, ask.Refuse
	}
	decision, err := st.engine.Decide(ctx, g.principal, permit.op)
	if err != nil {
		return none, unavailable("the policies could not be evaluated, so the operation was refused", "Ask the operators to look at the proxy's log.", err)
	}
	if decision.Effect == policy.Deny {
		return none, g.denied(decision)
	}
	if ask.CheckMasks == nil {
		return none, &Refusal{Reason: ReasonMasked, Message: "the protocol cannot say whether the answer can be masked"}
	}
	if err := ask.CheckMasks(permit.masks.rules); err != nil {
		return none, &Refusal{Reason: ReasonMasked, Message: err.Error(), Hint: "Leave the masked fields out of the statement, or select them as plain columns."}
	}
	return decision, nil
}

func (g *Grant) denied(decision policy.Decision) *Refusal {
	what := strings.TrimSpace(decision.Access.Action + " " + decision.Access.Resource)
	who := g.principal.UserName
	namespace := g.gate.config.Connection.Namespace
	if len(decision.Rules) == 0 {
		return &Refusal{
			Reason: ReasonNotAllowed, Message: fmt.Sprintf("no AccessPolicy allows %s to %s", who, what),
			Hint: fmt.Sprintf("See what is allowed: kubectl -n %s get accesspolicies -o yaml", namespace),
		}
	}
	message := fmt.Sprintf("%s may not %s", who, what)
	if decision.Message != "" {
		message += ": " + decision.Message
	}
	return &Refusal{
		Reason: ReasonDenied, Message: message, Rules: decision.Rules,
		Hint: fmt.Sprintf("See the rule: kubectl -n %s get accesspolicy %s -o yaml", namespace, decision.Rules[0].Policy),
	}
}

// refuse puts a refusal on record and returns it.
func (g *Grant) refuse(ctx context.Context, st *state, id uint64, ask *Ask, refusal *Refusal, approval *record.Approval) error {
	event := g.event(record.OperationDecided, st, id, &ask.Operation)
	event.Decision = &record.Decision{Effect: policy.Deny, Rules: refusal.Rules, Message: refusal.Message}
	event.Approval = approval
	event.Reason = string(refusal.Reason)
	// A canceled operation is on record all the same.
	if _, err := g.gate.config.Log.Append(context.WithoutCancel(ctx), event); err != nil {
		return unavailable("the record could not be written; the operation was not forwarded", "Ask the operators to look at the proxy's disk.", err)
	}
	return refusal
}

func (g *Grant) event(kind record.Type, st *state, id uint64, op *record.Operation) record.Event {
	event := record.Event{
		Type: kind, Session: g.id, Connection: recordConnection(g.opened.snapshot.Connection),
		Actor: &g.principal, ClientAddress: g.client, OperationID: id, Operation: op,
	}
	if st != nil {
		event.Revision = st.snapshot.Revision
	}
	return event
}

// digest names exactly this operation by this caller on this Connection: each
// part is preceded by its length, so that no two operations share a form.
func (g *Grant) digest(st *state, op *record.Operation) string {
	hash := sha256.New()
	var length [8]byte
	for _, part := range [...]string{
		"doorward.dev/operation/v1", st.snapshot.Connection.UID, g.principal.Issuer, g.principal.Subject,
		op.Protocol, op.Statement, op.ParametersDigest,
	} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		hash.Write([]byte(part))
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}

func (g *Grant) register(p *Permit) {
	g.mu.Lock()
	g.lastID++
	p.id = g.lastID
	g.open = append(g.open, p)
	g.mu.Unlock()
}

func (g *Grant) forget(p *Permit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, open := range g.open {
		if open == p {
			g.open = append(g.open[:i], g.open[i+1:]...)
			return
		}
	}
}

// judge says whether an operation that runs, or is held, may go on under a new
// state: what was allowed must still be allowed under the same masks.
func (p *Permit) judge(ctx context.Context, next *state, masks *maskState) error {
	if p.masks.state == next {
		return nil
	}
	decision, err := next.engine.Decide(ctx, p.grant.principal, p.op)
	p.grant.mu.Lock()
	stale := p.stale
	p.grant.mu.Unlock()
	if stale != nil {
		if err != nil || decision.Effect == policy.Deny {
			stale(ErrRevoked)
		}
		return nil
	}
	if err != nil || decision.Effect == policy.Deny || p.effect == policy.Allow && decision.Effect != policy.Allow {
		return fmt.Errorf("%w: the operation that was running is no longer allowed", ErrRevoked)
	}
	if !reflect.DeepEqual(p.masks.list, masks.list) {
		return fmt.Errorf("%w: the masks changed while an operation was running", ErrRevoked)
	}
	return nil
}
