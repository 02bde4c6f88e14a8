// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Reason is why something was refused, as a stable word; see record.Reason.
type Reason = record.Reason

// The reasons of a Refusal.
const (
	ReasonCredential         = record.ReasonCredential
	ReasonUnavailable        = record.ReasonUnavailable
	ReasonDraining           = record.ReasonDraining
	ReasonNotAllowed         = record.ReasonNotAllowed
	ReasonDenied             = record.ReasonDenied
	ReasonProtocol           = record.ReasonProtocol
	ReasonMasked             = record.ReasonMasked
	ReasonApprovalRequired   = record.ReasonApprovalRequired
	ReasonApprovalDenied     = record.ReasonApprovalDenied
	ReasonApprovalTimeout    = record.ReasonApprovalTimeout
	ReasonApprovalVoid       = record.ReasonApprovalVoid
	ReasonRequesterNotMapped = record.ReasonRequesterNotMapped
	ReasonTargetRole         = record.ReasonTargetRole
	ReasonLimit              = record.ReasonLimit
	ReasonSessionEnded       = record.ReasonSessionEnded
	ReasonHandshake          = record.ReasonHandshake
	ReasonCanceled           = record.ReasonCanceled
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
	// because is why policies refused, for the record and not for the caller: the Cause
	// of a decision.
	because string
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
			names = append(names, fmt.Sprintf("%s (generation %d)", nameOf(rule), rule.Generation))
			continue
		}
		names = append(names, fmt.Sprintf("rule %q of %s (generation %d)", rule.Rule, nameOf(rule), rule.Generation))
	}
	return "Decided by " + strings.Join(names, ", ") + "."
}

// conditions is what to tell those whom nothing allows, where that may be otherwise at
// another time or place. Which, is for those to know who may read policies.
func (s *state) conditions() string {
	if !s.conditional {
		return ""
	}
	return ". Some policies hold only at certain times, or from certain addresses."
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

// withCause is the reason and its cause, for the record.
func (r *Refusal) withCause() string { return fmt.Sprintf("%s: %v", r.Reason, r.cause) }

// undecided is the refusal of what the policies give no answer about.
func undecided(message string, cause error) *Refusal {
	refusal := unavailable(message, "Ask the operators to look at the proxy's log.", cause)
	refusal.because = "the policies could not be evaluated: " + cause.Error()
	return refusal
}

// decision is the refusal as it is recorded.
func (r *Refusal) decision(audit *record.Would) *record.Decision {
	return &record.Decision{Effect: policy.Deny, Rules: r.Rules, Message: r.Message, Cause: r.because, Audit: audit}
}

// tell passes the cause of a refusal on to the operators.
func (g *Gate) tell(err error) {
	var refusal *Refusal
	if g.config.Trouble == nil || !errors.As(err, &refusal) || refusal.cause == nil {
		return
	}
	// A Deny has a cause where a policy could not decide.
	if refusal.Reason == ReasonUnavailable || refusal.Reason == ReasonApprovalVoid || refusal.Reason == ReasonDenied {
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
