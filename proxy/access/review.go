// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Review is what a caller is told of what he may do. It names no policy, no rule and
// nobody else.
type Review struct {
	// Effect is what the operation would come to; where none was asked about, Allow or
	// Deny of a session.
	Effect policy.Effect
	// Approvals are the scopes of the approvals that the operation needs and that the
	// caller does not have; only with RequireApproval.
	Approvals []string
	// Reason is why it would be refused; empty where it would not.
	Reason Reason
	// Message is the text for the caller of the rule that decides; may be empty.
	Message string
	// Until is when a session that began now would end at the latest; zero for never.
	// It is set where a session may begin.
	Until time.Time
	// Masks are those in force for the caller. Their policies and names are not for him.
	Masks []policy.Mask
	// Limits are the strictest that bound him, and all windows.
	Limits policy.Limits
	// Permitted are what rules permit him; only where no operation was asked about.
	Permitted Permitted
	// rests are the approvals by which it would run.
	rests []*SessionApproval
}

// Protocol is the word for the Connection's protocol under the snapshot in force;
// empty before the first.
func (c *Caller) Protocol() string { return c.entry.gate.protocol() }

// Review answers what the caller may do: one operation, or with nil whether he may
// have a session and what rules permit him there. It decides as Authorize and
// Grant.Decide do, by the snapshot in force, and leads nowhere: no session, no Grant,
// nothing counted against his limits. Question and answer are on record before it
// returns. An error is a *Refusal: there is no answer, which is on record too if the
// log takes records.
func (c *Caller) Review(ctx context.Context, op *policy.Operation) (_ *Review, err error) {
	gate := c.entry.gate
	defer func() { gate.tell(err) }()
	st, err := gate.admit()
	if err != nil {
		return nil, c.unanswered(ctx, op, AsRefusal(err))
	}
	if err := c.stillProven(st); err != nil {
		return nil, c.unanswered(ctx, op, AsRefusal(err))
	}
	review, decision, err := c.weigh(ctx, st, op, time.Now())
	if err != nil {
		return nil, c.unanswered(ctx, op, AsRefusal(err))
	}
	event := c.reviewed(st, op)
	event.ReasonCode = review.Reason
	event.Decision = &record.Decision{Effect: decision.Effect, Rules: decision.Rules, Message: decision.Message, Cause: decision.Cause}
	event.Approval = withSessions(nil, review.rests)
	event.Durability = record.Durability(st.snapshot.Audit.Durability)
	if _, err := gate.config.Log.Append(ctx, event); err != nil {
		return nil, gate.unrecorded("the record could not be written, so there is no answer", err)
	}
	// What was true when it was decided may not be any more.
	switch current, err := gate.admit(); {
	case err != nil:
		return nil, AsRefusal(err)
	case current != st:
		return nil, unavailable("the policies changed while the question was answered", "Ask again.", nil)
	}
	// Without a rule the cause is that policies do not hold, which is no trouble.
	if decision.Cause != "" && len(decision.Rules) > 0 && gate.config.Trouble != nil {
		gate.config.Trouble("A policy could not decide", errors.New(decision.Cause))
	}
	return review, nil
}

// Unanswered puts on record that the caller asked what could not be understood.
func (c *Caller) Unanswered(ctx context.Context, reason string) error {
	event := c.reviewed(c.entry.gate.state.Load(), nil)
	event.Reason, event.ReasonCode = reason, record.ReasonInvalid
	if _, err := c.entry.gate.config.Log.Append(ctx, event); err != nil {
		return c.entry.gate.unrecorded("the record could not be written, so there is no answer", err)
	}
	return nil
}

// unanswered puts on record that there is no answer, and why; it returns why.
func (c *Caller) unanswered(ctx context.Context, op *policy.Operation, refusal *Refusal) error {
	event := c.reviewed(c.entry.gate.state.Load(), op)
	event.Reason, event.ReasonCode = refusal.Message, refusal.Reason
	// A caller who has left has asked all the same.
	if _, err := c.entry.gate.config.Log.Append(context.WithoutCancel(ctx), event); err != nil {
		return c.entry.gate.unrecorded("the record could not be written, so there is no answer", err)
	}
	return refusal
}

// reviewed is the record of a question; the state may be nil.
func (c *Caller) reviewed(st *state, op *policy.Operation) record.Event {
	event := record.Event{
		Type: record.AccessReviewed, Connection: recordConnection(c.entry.gate.config.Connection),
		Actor: &c.principal, ClientAddress: c.entry.client,
	}
	if st != nil {
		event.Connection, event.Revision = recordConnection(st.snapshot.Connection), st.snapshot.Revision
	}
	if op != nil {
		event.Operation = &record.Operation{Protocol: c.Protocol(), Accesses: op.Accesses, Properties: op.Properties}
	}
	return event
}

// weigh finds the answer, and the decision that it rests on.
func (c *Caller) weigh(ctx context.Context, st *state, op *policy.Operation, now time.Time) (*Review, policy.Decision, error) {
	failed := func(err error) error { return undecided("the policies could not be evaluated", err) }
	standing, err := st.engine.Standing(ctx, c.principal, c.circumstances(now))
	if err != nil {
		return nil, policy.Decision{}, failed(err)
	}
	decision, err := standing.Connect(ctx)
	if err != nil {
		return nil, policy.Decision{}, failed(err)
	}
	review := &Review{Effect: decision.Effect, Message: decision.Message}
	if decision.Effect == policy.Deny {
		review.refuse(&decision)
		return review, decision, nil
	}
	conflict := &policy.ConflictError{}
	if _, err := standing.TargetRole(); errors.As(err, &conflict) {
		// Which policies, and which roles, is for those to know who may read policies.
		review.Effect, review.Reason, review.Message = policy.Deny, ReasonTargetRole, "policies about you name different roles at the target"
		decision = policy.Decision{Effect: policy.Deny, Message: conflict.Error()}
		for _, role := range conflict.Roles {
			decision.Rules = append(decision.Rules, role.Policy)
		}
		return review, decision, nil
	} else if err != nil {
		return nil, policy.Decision{}, failed(err)
	}
	review.Limits = strictest(standing.Limits(), st)
	if proofEnd(st.snapshot, &c.principal, review.Limits.OutliveTokenSeconds).Equal(c.principal.ExpiresAt) {
		review.Limits.OutliveTokenSeconds = 0
	}
	review.Until = earliest(now, proofEnd(st.snapshot, &c.principal, review.Limits.OutliveTokenSeconds), review.Limits.SessionSeconds)
	if expired(&c.principal, now) || !review.Until.IsZero() && !review.Until.After(now) {
		return nil, policy.Decision{}, &Refusal{
			Reason: ReasonCredential, Message: "the token has expired", Hint: "Get a new token from your identity provider.",
		}
	}
	review.Masks = standing.Masks()
	if op == nil {
		review.Permitted = permitted(st.snapshot.Policies, standing)
		return review, decision, nil
	}
	if decision, err = standing.Decide(ctx, *op, now); err != nil {
		return nil, policy.Decision{}, failed(err)
	}
	review.Effect, review.Message = decision.Effect, decision.Message
	switch {
	case decision.Effect == policy.Deny:
		review.refuse(&decision)
	case decision.Effect == policy.RequireApproval && c.principal.KubernetesUser == "":
		review.refuse(&decision)
		review.Effect, review.Reason = policy.Deny, ReasonRequesterNotMapped
		review.Message = "it needs an approval, and you have no Kubernetes name that approvers could be told from"
		decision.Effect, decision.Message = review.Effect, review.Message
	case decision.Effect == policy.RequireApproval && len(decision.Sessions) > 0 && !inPerson(&c.principal):
		review.refuse(&decision)
		review.Effect, review.Reason = policy.Deny, ReasonApprovalRequired
		review.Message = "it needs an approval that lasts for a time, which is for a person alone, and not for agents and workloads"
		decision.Effect, decision.Message = review.Effect, review.Message
	case decision.Effect == policy.RequireApproval:
		if review.Approvals, review.rests = c.lacks(st, &decision, op, now); len(review.Approvals) == 0 {
			review.Effect = policy.Allow
		}
	}
	return review, decision, nil
}

// lacks are the scopes of the approvals that the caller does not have, and those that he has.
func (c *Caller) lacks(st *state, decision *policy.Decision, op *policy.Operation, now time.Time) (scopes []string, has []*SessionApproval) {
	gate := c.entry.gate
	var ahead []*SessionApproval
	if terms, rules := decision.PerOperation(); len(terms) > 0 {
		goes := false
		if len(rules) > 0 && inPerson(&c.principal) && !gate.unfollowed(now) {
			ahead, goes = gate.approvalsFor(&c.principal, st, rules, op, now)
		}
		if !goes {
			scopes, ahead = append(scopes, "Operation"), nil
		}
	}
	has, all := gate.approvalsFor(&c.principal, st, decision.Sessions, op, now)
	has = append(has, ahead...)
	if !all || len(decision.Sessions) > 0 && gate.unfollowed(now) {
		return append(scopes, policy.ScopeSession), nil
	}
	return scopes, has
}

// refuse says why, and takes back what holds only where something is allowed.
func (r *Review) refuse(decision *policy.Decision) {
	r.Reason = ReasonNotAllowed
	if len(decision.Rules) > 0 {
		r.Reason = ReasonDenied
	}
	r.Masks, r.Limits = nil, policy.Limits{}
}
