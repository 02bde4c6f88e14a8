// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// Reason is why something was refused, as a stable word.
type Reason string

// The reasons of a Refusal.
const (
	// ReasonCredential: the caller could not be proven.
	ReasonCredential Reason = "CredentialRejected" //nolint:gosec // a word, not a credential
	// ReasonUnavailable: something the decision needs is missing: a snapshot,
	// proof of freshness, the log, an issuer. Trying again later may help.
	ReasonUnavailable Reason = "Unavailable"
	// ReasonNotAllowed: no rule allows it.
	ReasonNotAllowed Reason = "NotAllowed"
	// ReasonDenied: a Deny rule forbids it.
	ReasonDenied Reason = "Denied"
	// ReasonProtocol: no policy can allow it; Doorward never forwards it.
	ReasonProtocol Reason = "NeverForwarded"
	// ReasonMasked: the answer could not be masked soundly.
	ReasonMasked Reason = "CannotMask"
	// ReasonApprovalDenied: an approver said no.
	ReasonApprovalDenied Reason = "ApprovalDenied"
	// ReasonApprovalTimeout: nobody decided in time.
	ReasonApprovalTimeout Reason = "ApprovalTimeout"
	// ReasonApprovalVoid: the approval could not be used: stale, void or withdrawn.
	ReasonApprovalVoid Reason = "ApprovalVoid"
	// ReasonRequesterNotMapped: the caller has no Kubernetes name, so nobody
	// could tell him from his approver.
	ReasonRequesterNotMapped Reason = "RequesterNotMapped"
	// ReasonTargetRole: policies name different roles at the target.
	ReasonTargetRole Reason = "TargetRoleConflict"
	// ReasonLimit: a bound of the Connection or a limit of a policy is reached.
	ReasonLimit Reason = "LimitReached"
	// ReasonSessionEnded: the session was ended while the operation waited.
	ReasonSessionEnded Reason = "SessionEnded"
	// ReasonHandshake: a client broke the protocol, or left, before it was proven.
	ReasonHandshake Reason = "HandshakeFailed"
	// ReasonCanceled: the caller gave up the operation.
	ReasonCanceled Reason = "Canceled"
)

// Refusal is the error of every step that says no. Its texts are for the
// caller: they hold no secret.
type Refusal struct {
	Reason Reason
	// Message says what was refused and why, in one sentence.
	Message string
	// Hint is what to do next, with a command where there is one.
	Hint string
	// Rules are the rules that refused; empty for default deny.
	Rules []policy.RuleRef
	// Code is the protocol's own code where the protocol refused; may be empty.
	Code string
	// Position is where in the operation's text it went wrong, in characters from
	// 1; 0 where that cannot be told.
	Position int
	// cause is for the operator's log, not for the caller.
	cause error
}

// Error joins reason and message.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Message) }

// Unwrap gives the operator's cause.
func (r *Refusal) Unwrap() error { return r.cause }

// Detail names the rules that refused, for the protocol's detail field.
func (r *Refusal) Detail() string {
	if len(r.Rules) == 0 {
		return ""
	}
	names := make([]string, 0, len(r.Rules))
	for _, rule := range r.Rules {
		if rule.Rule == "" {
			names = append(names, fmt.Sprintf("AccessPolicy %q (generation %d)", rule.Policy, rule.Generation))
			continue
		}
		names = append(names, fmt.Sprintf("rule %q of AccessPolicy %q (generation %d)", rule.Rule, rule.Policy, rule.Generation))
	}
	return "Decided by " + strings.Join(names, ", ") + "."
}

// AsRefusal finds the Refusal in an error; any other error becomes one that
// says nothing of its cause, since a cause may name what callers must not see.
func AsRefusal(err error) *Refusal {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	if errors.Is(err, context.Canceled) {
		return &Refusal{Reason: ReasonCanceled, Message: "the operation was canceled before it was forwarded", cause: err}
	}
	return unavailable("an internal error stopped the operation; nothing was forwarded", "Ask the operators to look at the proxy's log.", err)
}

// with is the reason and its cause, for the record.
func (r Reason) with(cause error) string { return fmt.Sprintf("%s: %v", r, cause) }

// tell passes the cause of a refusal on to the operators.
func (g *Gate) tell(err error) {
	var refusal *Refusal
	if g.config.Trouble == nil || !errors.As(err, &refusal) || refusal.cause == nil {
		return
	}
	if refusal.Reason == ReasonUnavailable || refusal.Reason == ReasonApprovalVoid {
		g.config.Trouble(refusal.Message, refusal.cause)
	}
}

// unrecorded is the refusal of what could not be put on record.
func (g *Gate) unrecorded(message string, cause error) *Refusal {
	return unavailable(message, "Ask the operators; what keeps the proxy's log from taking records: "+g.describe(), cause)
}

func unavailable(message, hint string, cause error) *Refusal {
	return &Refusal{Reason: ReasonUnavailable, Message: message, Hint: hint, cause: cause}
}
