// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
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
	// rules in force; an error is a refusal, a *Refusal one in the protocol's own
	// words. Required: a protocol that cannot
	// mask answers with an error unless the rules are empty.
	CheckMasks func(mask.Rules) error
	// WouldMask is CheckMasks for rules that are not in force, and changes nothing; nil
	// where the protocol does not tell what they would come to.
	WouldMask func(mask.Rules) error
	// Hidden says that the recorded form of the operation leaves out what an
	// approver would have to see. Such an operation is not held.
	Hidden bool
	// ShowParameters renders the bound parameters for approvers, who cannot judge
	// a "$1", and for the record where the Connection asks for that. Empty means that
	// they cannot be shown: then an operation with parameters is not held.
	ShowParameters func() string
	// ReadOnly says that the operation changes nothing at the target and calls
	// only built-in functions known to be immutable or stable. Where the
	// Connection allows it, such an operation is forwarded while its record is
	// being written; see Permit.Durable.
	ReadOnly bool
	// Unmetered says that the answer holds no rows, so that windows with nothing
	// left do not refuse it: what ends a transaction, above all.
	Unmetered bool
	// Hold tells the caller, in the protocol's words, that the operation waits
	// for approval. A protocol that cannot tell leaves it nil and is refused
	// what needs approval.
	Hold func(Notice)
	// Received is when the protocol had the operation in hand, by Grant.Mark; zero
	// where it does not say.
	Received time.Time
	// Source is the text that the operation came in, comments included, for
	// observers alone; empty where the protocol has none.
	Source string
	// Room, where set, becomes the Permit, for callers that allocate theirs with
	// what they keep of the operation. It is new, and never used again.
	Room *Permit
}

// Notice is what a caller is told while an operation is held.
type Notice struct {
	Requests []Request
	// BreakGlass is the command by which this caller may go ahead without approvals, to be
	// reviewed afterwards; empty where he may not.
	BreakGlass string
}

// Preview decides without forwarding and without a record: for what prepares
// an operation, such as Parse. Whoever is told anything but Allow or
// RequireApproval calls Decide, so that the refusal is on record.
func (g *Grant) Preview(ctx context.Context, op policy.Operation) (policy.Effect, error) {
	now := time.Now()
	v, err := g.current(ctx, now)
	if err != nil {
		return policy.Deny, err
	}
	decision, err := v.standing.Decide(ctx, op, now)
	if err != nil {
		return policy.Deny, undecided("the policies could not be evaluated", err)
	}
	return decision.Effect, nil
}

// Decide decides one operation and puts the decision on record. Only a nil
// error means that the operation may be forwarded; then the Permit's Done must
// be called. Any other error is a *Refusal, recorded, or says that nothing can
// be recorded.
func (g *Grant) Decide(ctx context.Context, ask Ask) (*Permit, error) {
	permit, err := g.decide(ctx, &ask)
	if err != nil {
		g.gate.tell(err)
	}
	return permit, err
}

// parametersText is the value of spec.audit.parameters that has the bound
// parameters recorded as approvers see them.
const parametersText = "Text"

// notEvaluated is what callers are told where the policies give no answer.
const notEvaluated = "the policies could not be evaluated, so the operation was refused"

// notForwarded is what callers and the record are told.
const notForwarded = "the record could not be written, so the operation was not forwarded"

func (g *Grant) decide(ctx context.Context, asked *Ask) (_ *Permit, err error) {
	now := time.Now()
	g.active.Store(now.UnixNano())
	permit := asked.Room
	if permit == nil {
		permit = &Permit{}
	}
	permit.grant, permit.began, permit.view, permit.ask = g, now, g.unmasked, *asked
	ask := &permit.ask
	permit.course.begin(ask.Received, now)
	ask.Operation.Digest = g.digest(&ask.Operation)
	permit.op = policy.Operation{Accesses: ask.Operation.Accesses, Properties: ask.Operation.Properties}
	st, refusal := g.register(ctx, permit, now)
	var decision policy.Decision
	if refusal == nil {
		decision, refusal = g.evaluate(ctx, st, permit, ask, now)
	}
	permit.lap(&permit.course.took.Decide)
	var approval *record.Approval
	if refusal == nil && decision.Effect == policy.RequireApproval {
		st, approval, decision, refusal = g.approve(ctx, st, permit, ask, decision)
		permit.lap(&permit.course.took.Hold)
	}
	if refusal == nil && !ask.Unmetered {
		refusal = st.limits.operation()
	}
	if permit.would != nil {
		permit.would.count(st.audits)
	}
	if refusal != nil {
		g.forget(permit)
		return nil, g.refuse(ctx, st, permit, refusal, approval)
	}
	audit := &st.snapshot.Audit
	permit.answer = newAnswer(audit.Responses)
	if audit.Parameters == parametersText && ask.ShowParameters != nil && ask.Operation.Parameters > 0 {
		ask.Operation.ParameterText = ask.ShowParameters()
	}
	event := g.event(record.OperationDecided, st, permit.id, &ask.Operation)
	permit.decision = record.Decision{Effect: decision.Effect, Rules: decision.Rules, Cause: decision.Cause, Masks: permit.view.names, Audit: permit.would.onRecord()}
	event.Decision = &permit.decision
	event.Approval = approval
	event.Durability = record.Durability(audit.Durability)
	if audit.ReadOverlap && ask.ReadOnly && decision.Effect == policy.Allow {
		permit.pending, err = g.gate.config.Log.Begin(ctx, event)
	} else {
		_, err = g.gate.config.Log.Append(ctx, event)
	}
	if errors.Is(err, record.ErrUnsettled) {
		// The log says, or may say, that the operation was let through.
		refusal := g.gate.unrecorded(notForwarded, err)
		permit.approval, permit.voided = approval, ReasonUnavailable
		permit.finish(record.Result{Outcome: "Canceled"}, notForwarded)
		return nil, refusal
	}
	if err != nil {
		g.forget(permit)
		permit.refused(ReasonUnavailable, approval)
		return nil, g.gate.unrecorded(notForwarded, err)
	}
	permit.approval = approval
	permit.lap(&permit.course.took.Record)
	// The rules may have changed, or the session ended, while the operation was
	// held or its record became durable.
	g.run(permit, decision.Effect)
	if refusal := g.standing(ctx, st, permit, decision); refusal != nil {
		permit.voided = refusal.Reason
		permit.finish(record.Result{Outcome: "Canceled"}, refusal.Error())
		return nil, refusal
	}
	return permit, nil
}

// standing says why a decision made under a state may no longer be acted on.
// The permit is running already: a change that comes later finds it.
func (g *Grant) standing(ctx context.Context, st *view, permit *Permit, decision policy.Decision) *Refusal {
	if refusal := g.ended(); refusal != nil {
		return refusal
	}
	now := time.Now()
	current, err := g.current(ctx, now)
	if err != nil {
		return AsRefusal(err)
	}
	if refusal := g.stillRests(permit, current, now); refusal != nil {
		return refusal
	}
	if current == st {
		return nil
	}
	again, err := current.standing.Decide(ctx, permit.op, now)
	allowed := again.Effect == policy.Allow
	if again.Effect == policy.RequireApproval && decision.Effect == policy.RequireApproval {
		// The approval was for these rules on this Connection and no others.
		allowed = sameTerms(again, decision) && current.snapshot.Connection == st.snapshot.Connection
	}
	if err != nil || !allowed || !reflect.DeepEqual(current.list, permit.view.list) {
		return &Refusal{
			Reason: ReasonApprovalVoid, Message: "the policies changed while the operation was decided; it was not forwarded",
			Hint: "Run it again.", cause: err,
		}
	}
	return nil
}

// evaluate asks the protocol's own refusal, the engine, the limits and the masks,
// in this order.
func (g *Grant) evaluate(ctx context.Context, st *view, permit *Permit, ask *Ask, now time.Time) (policy.Decision, *Refusal) {
	var none policy.Decision
	if permit.would != nil { // before it was held
		permit.would = nil
	}
	if ask.Refuse != nil {
		return none, ask.Refuse
	}
	decision, err := st.standing.Decide(ctx, permit.op, now)
	if err != nil {
		return none, undecided(notEvaluated, err)
	}
	if decision.Effect == policy.Deny {
		if decision.Audit != nil {
			permit.would = st.wouldBe(ask, &decision)
		}
		return none, g.denied(st, decision)
	}
	if !ask.Unmetered {
		if refusal := st.limits.admit(); refusal != nil {
			return none, refusal
		}
	}
	if ask.CheckMasks == nil {
		return none, &Refusal{Reason: ReasonMasked, Message: "the protocol cannot say whether the answer can be masked"}
	}
	if err := ask.CheckMasks(permit.view.rules); err != nil {
		refusal := &Refusal{}
		if !errors.As(err, &refusal) {
			refusal = &Refusal{Reason: ReasonMasked, Message: err.Error(), Hint: "Leave the masked fields out of the statement, or select them as plain columns."}
		}
		return none, refusal
	}
	if st.shadow != nil || decision.Audit != nil {
		permit.would = st.wouldBe(ask, &decision)
	}
	return decision, nil
}

// inWords is an access as it stands after "may not".
func inWords(a policy.Access) string {
	if a.Action != policy.ActionUnknown {
		return strings.TrimSpace(a.Action + " " + a.Resource)
	}
	if a.Resource == "" {
		return "do what is unknown"
	}
	return "do what is unknown: " + a.Resource
}

func (g *Grant) denied(st *view, decision policy.Decision) *Refusal {
	what := inWords(decision.Access)
	who := g.principal.UserName
	namespace := g.gate.config.Connection.Namespace
	if len(decision.Rules) == 0 {
		return &Refusal{
			Reason: ReasonNotAllowed, Message: fmt.Sprintf("no AccessPolicy allows %s to %s", who, what),
			Hint:    fmt.Sprintf("See what is allowed: kubectl -n %s get accesspolicies -o yaml", namespace) + st.conditions(),
			because: decision.Cause,
		}
	}
	message := fmt.Sprintf("%s may not %s", who, what)
	if decision.Message != "" {
		message += ": " + decision.Message
	}
	refusal := &Refusal{
		Reason: ReasonDenied, Message: message, Rules: decision.Rules,
		Hint: seeRule(namespace, decision.Rules[0]), because: decision.Cause,
	}
	if decision.Cause != "" {
		refusal.cause = errors.New(decision.Cause)
	}
	return refusal
}

// refuse puts a refusal on record and returns it.
func (g *Grant) refuse(ctx context.Context, st *view, permit *Permit, refusal *Refusal, approval *record.Approval) error {
	event := g.event(record.OperationDecided, st, permit.id, &permit.ask.Operation)
	event.Decision = refusal.decision(permit.would.onRecord())
	event.Approval = approval
	event.Reason, event.ReasonCode = string(refusal.Reason), refusal.Reason
	// A canceled operation is on record all the same.
	_, err := g.gate.config.Log.Append(context.WithoutCancel(ctx), event)
	permit.lap(&permit.course.took.Record)
	permit.refused(refusal.Reason, approval)
	if err != nil {
		return g.gate.unrecorded("the record could not be written; the operation was not forwarded", err)
	}
	return refusal
}

func (g *Grant) event(kind record.Type, st *view, id uint64, op *record.Operation) record.Event {
	event := record.Event{
		Type: kind, Session: g.id, Connection: recordConnection(g.opened.snapshot.Connection),
		Actor: &g.principal, ClientAddress: g.client, OperationID: id, Operation: op, Memo: &g.memo,
	}
	if st != nil {
		event.Revision = st.snapshot.Revision
	}
	return event
}

// keptPart bounds the buffer of digest that is used again.
const keptPart = 16 << 10

// digest names exactly this operation by this caller on this Connection: each
// part is preceded by its length, so that no two operations share a form.
func (g *Grant) digest(op *record.Operation) string {
	all := g.part[:0]
	for _, part := range [...]string{
		"doorward.dev/operation/v1", g.opened.snapshot.Connection.UID, g.principal.Issuer, g.principal.Subject,
		op.Protocol, op.Statement, op.ParametersDigest,
	} {
		all = append(binary.BigEndian.AppendUint64(all, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(all)
	if g.part = all; cap(all) > keptPart {
		g.part = nil
	}
	const name = "sha256:"
	var text [len(name) + 2*sha256.Size]byte
	return string(hex.AppendEncode(append(text[:0], name...), sum[:]))
}

// register gives a permit its number and the state it is decided under, or
// says why nothing may be decided. A permit that is refused here is forgotten
// like any other.
func (g *Grant) register(ctx context.Context, p *Permit, now time.Time) (*view, *Refusal) {
	st, err := g.current(ctx, now)
	if err != nil {
		st = &view{state: g.gate.state.Load()} // of which the record has the revision
	}
	g.mu.Lock()
	g.lastID++
	p.id, p.view = g.lastID, st
	closed, late := g.closed, !g.end.IsZero() && !now.Before(g.end)
	if !closed {
		g.open = append(g.open, p)
	}
	g.mu.Unlock()
	if late {
		// The timer is about to say so, or the machine slept.
		g.End(ErrExpired)
	}
	if refusal := g.ended(); refusal != nil {
		return st, refusal
	}
	if err != nil {
		return st, AsRefusal(err)
	}
	return st, nil
}

func (g *Grant) setView(p *Permit, v *view) {
	g.mu.Lock()
	p.view = v
	g.mu.Unlock()
}

// run marks a permit as one whose operation goes to the target.
func (g *Grant) run(p *Permit, effect policy.Effect) {
	g.mu.Lock()
	p.phase, p.effect, p.stale = running, effect, nil
	if !g.view.Load().limits.none() {
		p.meter = &Meter{grant: g}
	}
	g.mu.Unlock()
}

// forget takes a permit off the list and says when it began and under which revision.
func (g *Grant) forget(p *Permit) (began time.Time, revision int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, open := range g.open {
		if open == p {
			g.open = append(g.open[:i], g.open[i+1:]...)
			break
		}
	}
	return p.began, p.view.snapshot.Revision
}
