// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// goesAhead says whether the caller goes ahead without the approvals that an operation
// would be held for: an approval of break-glass covers each rule that asks. From then on
// the session ends with it.
func (g *Grant) goesAhead(st *view, permit *Permit, decision *policy.Decision, now time.Time) bool {
	_, rules := decision.PerOperation()
	if len(rules) == 0 || g.principal.KubernetesUser == "" || !inPerson(&g.principal) || g.gate.unfollowed(now) {
		return false
	}
	rests, all := g.gate.approvalsFor(&g.principal, st.state, rules, &permit.op, now)
	if !all {
		return false
	}
	g.restOn(rests)
	for _, a := range rests {
		if !slices.Contains(permit.rests, a) {
			permit.rests = append(permit.rests, a)
		}
	}
	return true
}

// wentAhead are the approvals of break-glass that the session rested on, as its end records
// them; nil for none.
func (g *Grant) wentAhead() *record.Approval {
	return withSessions(nil, slices.DeleteFunc(g.restsOn(), func(a *SessionApproval) bool { return !a.BreakGlass }))
}

// breakGlassCommand is what the caller runs to go ahead without the approvals that rules
// ask for; empty where one of them does not let this caller. It is a hint: who may, the
// manager decides, by the groups that the API server knows.
func (g *Grant) breakGlassCommand(rules []policy.RuleRef) string {
	if len(rules) == 0 || g.principal.KubernetesUser == "" || !inPerson(&g.principal) {
		return ""
	}
	seconds := int32(usualSeconds)
	for _, ref := range rules {
		rule := g.view.Load().snapshot.Policies.Rule(ref)
		if rule == nil || rule.Approval == nil || rule.Approval.BreakGlass == nil || !slices.ContainsFunc(rule.Approval.BreakGlass.Subjects, g.isNamed) {
			return ""
		}
		seconds = min(seconds, rule.Approval.BreakGlass.MaxDurationSeconds)
	}
	connection := g.gate.config.Connection
	return fmt.Sprintf("kubectl doorward request %s -n %s --rule %s --break-glass --reason '<why>' --for %ds",
		connection.Name, connection.Namespace, strings.Join(ruleArguments(rules), " --rule "), seconds)
}

// isNamed says whether a subject that is known to the API server is probably the caller.
func (g *Grant) isNamed(s policy.Subject) bool {
	if s.Kind == policy.User {
		return s.Name == g.principal.KubernetesUser
	}
	return s.Kind == policy.Group && slices.Contains(g.principal.Groups, s.Name)
}
