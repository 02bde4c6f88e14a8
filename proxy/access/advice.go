// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Advice ends a session whose protocol can only guess what its caller does, as of what is typed
// into a shell: the guess is something that a rule denies. It is no control, since nothing was
// held back. It holds nothing of what the caller did but what the rule names of it.
type Advice struct {
	Rule policy.RuleRef
	// Names are the action and the glob of the resource by which the rule matches.
	Names string
	// Message is the admin's text for the caller; may be empty.
	Message string
	// hint says where to look.
	hint string
}

// Error is for the caller, and for the record.
func (a *Advice) Error() string {
	message := ""
	if a.Message != "" {
		message = ": " + a.Message
	}
	return fmt.Sprintf("the advisory detector ended the session, since what was typed reads as %q, denied by rule %q of %s (generation %d)%s. "+
		"It is no control: nothing was held back, and it may have run. %s", a.Names, a.Rule.Rule, nameOf(a.Rule), a.Rule.Generation, message, a.hint)
}

// Advise ends the session where a rule denies an operation that the protocol guesses, and says
// whether it did. Only rules count, as somebody wrote them: not that nothing allows the operation,
// nor that it needs an approval, nor what a module answers. Nothing is decided by it, counted, or
// recorded but the end of the session. It may be used from any goroutine.
func (g *Grant) Advise(op policy.Operation) bool {
	now := time.Now()
	v, err := g.current(g.ctx, now)
	if err != nil || !mayDeny(&v.snapshot.Policies, op) {
		return false
	}
	decision, err := v.standing.Decide(g.ctx, op, now)
	if err != nil || decision.Effect != policy.Deny {
		return false
	}
	for _, ref := range decision.Rules {
		if rule := v.snapshot.Policies.Rule(ref); rule != nil && rule.Effect == policy.Deny {
			g.End(&Advice{Rule: ref, Names: namedBy(rule, op), Message: rule.Message, hint: seeRule(g.gate.config.Connection.Namespace, ref)})
			return true
		}
	}
	return false
}

// mayDeny says whether there is a rule that could deny an operation. An engine keeps what it is
// asked, and a guess may be a password: it is not asked about what no rule names.
func mayDeny(set *policy.Set, op policy.Operation) bool {
	for i := range set.Policies {
		rules := set.Policies[i].Rules
		for j := range rules {
			if rules[j].Effect == policy.Deny && namedBy(&rules[j], op) != "" {
				return true
			}
		}
	}
	return false
}

// namedBy is what a rule names of an operation, in the rule's own words; empty for nothing.
func namedBy(rule *policy.Rule, op policy.Operation) string {
	for _, access := range op.Accesses {
		if !rule.Matches(access) {
			continue
		}
		glob := slices.IndexFunc(rule.Resources, func(glob string) bool { return policy.Match(glob, access.Resource) })
		if glob < 0 {
			return access.Action
		}
		return access.Action + " " + rule.Resources[glob]
	}
	return ""
}

// advised is what the end of a session has on record as its decision; nil where no advice ended it.
func advised(cause error) *record.Decision {
	advice := (*Advice)(nil)
	if !errors.As(cause, &advice) {
		return nil
	}
	return &record.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{advice.Rule}, Message: advice.Message}
}
