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

// hold asks for approval and waits. It returns the state under which the
// operation may run: the rules that asked must still stand, unchanged.
func (g *Grant) hold(ctx context.Context, st *state, permit *Permit, ask *Ask, decision policy.Decision) (*state, *record.Approval, *Refusal) {
	if ask.Hold == nil {
		return st, nil, &Refusal{Reason: ReasonNotAllowed, Rules: decision.Rules, Message: "this operation needs approval, and this protocol cannot hold it"}
	}
	if g.principal.KubernetesUser == "" {
		return st, nil, &Refusal{
			Reason: ReasonRequesterNotMapped, Rules: decision.Rules,
			Message: fmt.Sprintf("this needs approval, but IdentityProvider %q maps its callers to no Kubernetes user, so nobody could tell requester from approver", g.principal.Provider),
			Hint:    "Ask an admin to set spec.kubernetesUsername on it.",
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })
	defer stop()
	g.setStale(permit, cancel)
	defer g.setStale(permit, nil)

	pending, refusal := g.ask(ctx, st, ask, decision)
	approval := approvalOf(pending)
	if refusal != nil {
		withdraw(pending, refusal)
		return st, approval, refusal
	}
	event := g.event(record.OperationHeld, st, permit.id, &ask.Operation)
	event.Decision = &record.Decision{Effect: policy.RequireApproval, Rules: decision.Rules, Message: decision.Message}
	event.Approval = approval
	if _, err := g.gate.config.Log.Append(ctx, event); err != nil {
		refusal := unavailable("the record could not be written, so no approval was waited for", "Ask the operators to look at the proxy's disk.", err)
		withdraw(pending, refusal)
		return st, approval, refusal
	}
	notice := Notice{}
	for _, p := range pending {
		notice.Requests = append(notice.Requests, p.Request())
	}
	ask.Hold(notice)
	for _, p := range pending {
		if refusal := wait(ctx, p, approval); refusal != nil {
			withdraw(pending, refusal)
			return st, approval, refusal
		}
	}
	now, refusal := g.recheck(ctx, st, permit, ask, decision)
	if refusal != nil {
		withdraw(pending, refusal)
		return st, approval, refusal
	}
	// Marked used before use: a crash in between loses an approval, never uses one twice.
	for _, p := range pending {
		if err := p.Use(ctx); err != nil {
			refusal := &Refusal{
				Reason: ReasonApprovalVoid, Message: "the approval could not be marked as used, so the operation was not forwarded",
				Hint: "Run the statement again to ask anew.", cause: err,
			}
			withdraw(pending, refusal)
			return now, approval, refusal
		}
	}
	approval.Outcome = Approved
	return now, approval, nil
}

// ask creates one request for each rule's terms; all must be met.
func (g *Grant) ask(ctx context.Context, st *state, ask *Ask, decision policy.Decision) ([]Pending, *Refusal) {
	var all []Pending
	for _, terms := range decision.Approval {
		question := Question{
			Connection: st.snapshot.Connection, Session: g.id, Requester: g.principal, Operation: ask.Operation,
			Rules: decision.Rules, Terms: terms,
			ExpiresAt: time.Now().Add(time.Duration(terms.TimeoutSeconds) * time.Second),
		}
		// crypto/rand.Read never fails on supported platforms (Go 1.24).
		_, _ = rand.Read(question.Nonce[:])
		pending, err := g.gate.config.Approvals.Ask(ctx, question)
		if err != nil {
			return all, unavailable("this needs approval, and the approval could not be asked for: the API server did not take the request",
				fmt.Sprintf("Try again; if it lasts: kubectl -n %s get approvalrequests", g.gate.config.Connection.Namespace), err)
		}
		all = append(all, pending)
	}
	if len(all) == 0 {
		return nil, unavailable("this needs approval, but no rule says whose", "Ask an admin to look at the policy.", nil)
	}
	return all, nil
}

func wait(ctx context.Context, p Pending, approval *record.Approval) *Refusal {
	request := p.Request()
	ctx, cancel := context.WithDeadline(ctx, request.ExpiresAt)
	defer cancel()
	outcome, err := p.Wait(ctx)
	again := "Run the statement again to ask anew."
	switch {
	case err == nil && outcome.State == Approved:
		approval.Approvers = append(approval.Approvers, outcome.Approvers...)
		return nil
	case err == nil && outcome.State == Denied:
		approval.Outcome, approval.Approvers = Denied, outcome.Approvers
		message := fmt.Sprintf("ApprovalRequest %q was denied by %s", request.Name, strings.Join(outcome.Approvers, ", "))
		if outcome.Message != "" {
			message += ": " + outcome.Message
		}
		return &Refusal{Reason: ReasonApprovalDenied, Message: message, Hint: "Talk to the approver before you ask again."}
	case err == nil && outcome.State != Expired:
		approval.Outcome = outcome.State
		return &Refusal{Reason: ReasonApprovalVoid, Message: fmt.Sprintf("ApprovalRequest %q became %s: %s", request.Name, outcome.State, outcome.Message), Hint: again}
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		approval.Outcome = Expired
		return &Refusal{Reason: ReasonApprovalTimeout, Message: fmt.Sprintf("nobody decided ApprovalRequest %q in time", request.Name), Hint: again}
	}
	approval.Outcome = "Withdrawn"
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrRevoked):
		return &Refusal{Reason: ReasonApprovalVoid, Message: "the policy changed while the operation was held", Hint: again, cause: cause}
	case cause != nil && !errors.Is(cause, context.Canceled):
		return &Refusal{Reason: ReasonSessionEnded, Message: cause.Error(), cause: cause}
	case cause != nil:
		return &Refusal{Reason: ReasonCanceled, Message: "the held operation was canceled; nothing was forwarded", cause: err}
	}
	return unavailable("the approval could not be watched, so the operation was not forwarded", again, err)
}

// recheck decides again under what is in force now: approval does not outlive
// the rules it was given under.
func (g *Grant) recheck(ctx context.Context, was *state, permit *Permit, ask *Ask, decision policy.Decision) (*state, *Refusal) {
	now, err := g.gate.open()
	if err != nil {
		return was, AsRefusal(err)
	}
	if now == was {
		return now, nil
	}
	permit.masks = g.masksUnder(now)
	again, refusal := g.evaluate(ctx, now, permit, ask)
	if refusal != nil {
		return now, refusal
	}
	if again.Effect == policy.RequireApproval && !reflect.DeepEqual(again.Rules, decision.Rules) ||
		now.snapshot.Connection != was.snapshot.Connection {
		return now, &Refusal{
			Reason: ReasonApprovalVoid, Message: "the policy or the connection changed between approval and use (ApprovalStale)",
			Hint: "Run the statement again to ask anew.",
		}
	}
	return now, nil
}

func (g *Grant) setStale(p *Permit, cancel context.CancelCauseFunc) {
	g.mu.Lock()
	p.stale = cancel
	g.mu.Unlock()
}

func withdraw(pending []Pending, refusal *Refusal) {
	for _, p := range pending {
		p.Withdraw(string(refusal.Reason))
	}
}

func approvalOf(pending []Pending) *record.Approval {
	approval := &record.Approval{}
	var names, uids []string
	for _, p := range pending {
		request := p.Request()
		names, uids = append(names, request.Name), append(uids, request.UID)
	}
	approval.Request, approval.UID = strings.Join(names, ","), strings.Join(uids, ",")
	return approval
}
