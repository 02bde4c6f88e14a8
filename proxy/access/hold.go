// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// approve finds the approvals that an operation needs: those for a time must be there, for
// itself it is held, unless the caller goes ahead without. It returns what hold returns.
func (g *Grant) approve(ctx context.Context, st *view, permit *Permit, ask *Ask, decision policy.Decision) (*view, *record.Approval, policy.Decision, *Refusal) {
	if refusal := g.rest(st, permit, &decision, time.Now()); refusal != nil {
		return st, nil, decision, refusal
	}
	var waited *record.Approval
	terms, _ := decision.PerOperation()
	if (len(terms) > 0 || len(decision.Approval) == 0) && !g.goesAhead(st, permit, &decision, time.Now()) {
		var refusal *Refusal
		if st, waited, decision, refusal = g.hold(ctx, st, permit, ask, decision); refusal != nil {
			return st, waited, decision, refusal
		}
		// Meanwhile they may have ended.
		if decision.Effect == policy.RequireApproval {
			if refusal := g.rest(st, permit, &decision, time.Now()); refusal != nil {
				return st, waited, decision, refusal
			}
		}
	}
	return st, withSessions(waited, permit.rests), decision, nil
}

// hold asks for approval and waits. It returns the view under which the
// operation may run, and the decision there: the rules that asked must still
// stand, unchanged.
func (g *Grant) hold(ctx context.Context, st *view, permit *Permit, ask *Ask, decision policy.Decision) (*view, *record.Approval, policy.Decision, *Refusal) {
	if ask.Hold == nil {
		return st, nil, decision, &Refusal{Reason: ReasonNotAllowed, Rules: decision.Rules, Message: "this operation needs approval, and this protocol cannot hold it"}
	}
	if g.principal.KubernetesUser == "" {
		return st, nil, decision, &Refusal{
			Reason: ReasonRequesterNotMapped, Rules: decision.Rules,
			Message: fmt.Sprintf("this needs approval, but IdentityProvider %q maps its callers to no Kubernetes user, so nobody could tell requester from approver", g.principal.Provider),
			Hint:    "Ask an admin to set spec.kubernetesUsername on it.",
		}
	}
	parameters, refusal := shown(ask, decision)
	if refusal != nil {
		return st, nil, decision, refusal
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })
	defer stop()
	g.setHeld(permit, cancel)
	defer g.setHeld(permit, nil)

	pending, refusal := g.ask(ctx, st, ask, parameters, decision)
	if refusal != nil {
		return st, nil, decision, refusal
	}
	request := pending.Request()
	approval := &record.Approval{Request: request.Name, UID: request.UID}
	now, again, refusal := g.await(ctx, st, permit, ask, decision, pending, approval)
	if refusal != nil {
		pending.Withdraw(string(refusal.Reason))
		return now, approval, decision, refusal
	}
	approval.Outcome = Approved
	g.mu.Lock()
	permit.began = time.Now()
	g.mu.Unlock()
	return now, approval, again, nil
}

// await is what happens between the request and its use.
func (g *Grant) await(ctx context.Context, st *view, permit *Permit, ask *Ask, decision policy.Decision, pending Pending, approval *record.Approval) (*view, policy.Decision, *Refusal) {
	event := g.event(record.OperationHeld, st, permit.id, &ask.Operation)
	event.Decision = &record.Decision{Effect: policy.RequireApproval, Rules: decision.Rules, Message: decision.Message}
	event.Approval = approval
	if _, err := g.gate.config.Log.Append(ctx, event); err != nil {
		return st, decision, g.gate.unrecorded("the record could not be written, so no approval was waited for", err)
	}
	_, rules := decision.PerOperation()
	ask.Hold(Notice{Requests: []Request{pending.Request()}, BreakGlass: g.breakGlassCommand(rules)})
	if refusal := g.wait(ctx, pending, approval); refusal != nil {
		return st, decision, refusal
	}
	now, again, refusal := g.recheck(ctx, st, permit, ask, decision)
	if refusal != nil {
		return now, decision, refusal
	}
	// Marked used before use: a crash in between loses an approval, never uses one twice.
	if err := pending.Use(ctx); err != nil {
		if over := (*OverError)(nil); errors.As(err, &over) {
			approval.Outcome = over.Outcome.State
			return now, decision, voided(pending.Request(), over.Outcome)
		}
		return now, decision, &Refusal{
			Reason: ReasonApprovalVoid, Message: "the approval could not be marked as used, so the operation was not forwarded",
			Hint: askAnew, cause: err,
		}
	}
	return now, again, nil
}

// askAnew is the hint of who may ask for the same thing again: statements and whatever else there is.
const askAnew = "Run it again to ask anew."

// shown renders the parameters for the approvers. Nobody approves what cannot
// be seen.
func shown(ask *Ask, decision policy.Decision) (string, *Refusal) {
	if ask.Hidden {
		return "", &Refusal{
			Reason: ReasonNotAllowed, Rules: decision.Rules,
			Message: "this needs approval, but it may hold a secret that approvers must not see, so they could not judge it",
			Hint:    "Ask an admin to run it, or for a rule that allows it.",
		}
	}
	if ask.Operation.Parameters == 0 {
		return "", nil
	}
	if ask.ShowParameters != nil {
		if text := ask.ShowParameters(); text != "" {
			return text, nil
		}
	}
	return "", &Refusal{
		Reason: ReasonNotAllowed, Rules: decision.Rules,
		Message: "this needs approval, but its parameters are too large to be shown to approvers",
		Hint:    "Send smaller values, or several statements.",
	}
}

// ask creates the request. All terms must be met, within the shortest time.
func (g *Grant) ask(ctx context.Context, st *view, ask *Ask, parameters string, decision policy.Decision) (Pending, *Refusal) {
	terms, rules := decision.PerOperation()
	if len(terms) == 0 {
		return nil, unavailable("this needs approval, but no rule says whose", "Ask an admin to look at the policy.", nil)
	}
	timeout := terms[0].TimeoutSeconds
	for _, t := range terms {
		timeout = min(timeout, t.TimeoutSeconds)
	}
	question := Question{
		Connection: st.snapshot.Connection, Session: g.id, Requester: g.principal, Operation: ask.Operation, Parameters: parameters,
		Rules: rules, Terms: terms,
		ExpiresAt: time.Now().Add(time.Duration(timeout) * time.Second),
	}
	// crypto/rand.Read never fails on supported platforms (Go 1.24).
	_, _ = rand.Read(question.Nonce[:])
	pending, err := g.gate.config.Approvals.Ask(ctx, question)
	if err == nil {
		return pending, nil
	}
	if refusal := g.ended(); refusal != nil {
		return nil, refusal
	}
	return nil, unavailable("this needs approval, and the approval could not be asked for: the API server did not take the request",
		fmt.Sprintf("Try again; if it lasts: kubectl -n %s get approvalrequests", g.gate.config.Connection.Namespace), err)
}

func (g *Grant) wait(ctx context.Context, p Pending, approval *record.Approval) *Refusal {
	request := p.Request()
	ctx, cancel := context.WithDeadline(ctx, request.ExpiresAt)
	defer cancel()
	outcome, err := p.Wait(ctx)
	switch {
	case err == nil && outcome.State == Approved && time.Now().Before(request.ExpiresAt):
		approval.Approvers = outcome.Approvers
		return nil
	case err == nil && outcome.State == Denied:
		approval.Outcome, approval.Approvers = Denied, outcome.Approvers
		message := fmt.Sprintf("ApprovalRequest %q was denied by %s", request.Name, strings.Join(outcome.Approvers, ", "))
		if outcome.Message != "" {
			message += ": " + outcome.Message
		}
		return &Refusal{Reason: ReasonApprovalDenied, Message: message, Hint: "Talk to the approver before you ask again."}
	case err == nil && outcome.State != Expired && outcome.State != Approved:
		approval.Outcome = outcome.State
		return voided(request, outcome)
	case err == nil, errors.Is(err, context.DeadlineExceeded) && g.ctx.Err() == nil:
		approval.Outcome = Expired
		return &Refusal{Reason: ReasonApprovalTimeout, Message: fmt.Sprintf("nobody decided ApprovalRequest %q in time", request.Name), Hint: askAnew}
	}
	approval.Outcome = "Withdrawn"
	if refusal := g.ended(); refusal != nil {
		return refusal
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrRevoked):
		return &Refusal{Reason: ReasonApprovalVoid, Message: "the policy changed while the operation was held", Hint: askAnew, cause: cause}
	case cause != nil:
		return &Refusal{Reason: ReasonCanceled, Message: "the held operation was canceled; nothing was forwarded", cause: err}
	}
	return unavailable("the approval could not be watched, so the operation was not forwarded", askAnew, err)
}

// voided refuses what an approval can no longer let through.
func voided(request Request, outcome Outcome) *Refusal {
	return &Refusal{
		Reason: ReasonApprovalVoid, Message: fmt.Sprintf("ApprovalRequest %q became %s: %s", request.Name, outcome.State, outcome.Message),
		Hint: askAnew,
	}
}

// recheck decides again under what is in force now: approval does not outlive
// the rules it was given under.
func (g *Grant) recheck(ctx context.Context, was *view, permit *Permit, ask *Ask, decision policy.Decision) (*view, policy.Decision, *Refusal) {
	if refusal := g.ended(); refusal != nil {
		return was, decision, refusal
	}
	at := time.Now()
	now, err := g.current(ctx, at)
	if err != nil {
		return was, decision, AsRefusal(err)
	}
	// A module may answer otherwise by now, also where nothing else has changed.
	if now != was {
		g.setView(permit, now)
	}
	again, refusal := g.evaluate(ctx, now, permit, ask, at)
	if refusal != nil {
		return now, decision, refusal
	}
	if again.Effect == policy.RequireApproval && !sameTerms(again, decision) ||
		now.snapshot.Connection != was.snapshot.Connection {
		return now, decision, &Refusal{
			Reason: ReasonApprovalVoid, Message: "the policy or the connection changed between approval and use (ApprovalStale)",
			Hint: askAnew,
		}
	}
	return now, again, nil
}

// sameTerms says that two decisions ask for the same approvals by the same rules. A
// module's terms change without its policy where it is in a ConfigMap, or as it likes.
func sameTerms(a, b policy.Decision) bool {
	return reflect.DeepEqual(a.Rules, b.Rules) && reflect.DeepEqual(a.Approval, b.Approval)
}

func (g *Grant) setHeld(p *Permit, cancel context.CancelCauseFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.stale, p.phase = cancel, deciding
	if cancel != nil {
		p.phase = held
	}
}
