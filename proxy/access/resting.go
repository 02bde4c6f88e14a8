// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// rest finds the approvals of scope Session that a decision asks for. From then on the
// session ends with any of them. Without one the operation is refused: it is asked for in
// advance, and nothing is held for it.
func (g *Grant) rest(st *view, permit *Permit, decision *policy.Decision, now time.Time) *Refusal {
	permit.rests = nil
	if len(decision.Sessions) == 0 {
		return nil
	}
	if g.principal.KubernetesUser == "" {
		return &Refusal{
			Reason: ReasonRequesterNotMapped, Rules: decision.Sessions,
			Message: fmt.Sprintf("this needs an approval, but IdentityProvider %q maps its callers to no Kubernetes user, so nobody could tell whose it is", g.principal.Provider),
			Hint:    "Ask an admin to set spec.kubernetesUsername on it.",
		}
	}
	if !inPerson(&g.principal) {
		return &Refusal{
			Reason: ReasonApprovalRequired, Rules: decision.Sessions,
			Message: "this needs an approval that lasts for a time, which is for a person alone, and not for agents and workloads",
			Hint:    "Let the person do it, or ask an admin for a rule that asks for an approval of each operation.",
		}
	}
	if g.gate.unfollowed(now) {
		return unavailable("this needs an approval, and whether yours still holds cannot be told: the API server is away", "Try again; if it lasts: "+g.gate.describe(), errApprovalsUnknown)
	}
	rests, all := g.gate.approvalsFor(&g.principal, st.state, decision.Sessions, &permit.op, now)
	if !all {
		return g.unapproved(decision)
	}
	g.restOn(rests)
	permit.rests = rests
	return nil
}

// approvalsFor finds approvals of a caller for what each rule is about of an operation, and
// says whether there are for all.
func (g *Gate) approvalsFor(who *identity.Principal, st *state, rules []policy.RuleRef, op *policy.Operation, now time.Time) (found []*SessionApproval, all bool) {
	if len(rules) == 0 {
		return nil, true
	}
	own := g.approved.of(who, now)
	for _, rule := range rules {
		i := slices.IndexFunc(own, func(a *SessionApproval) bool {
			return a.bound(st.snapshot) && a.covers(&st.snapshot.Policies, rule, op)
		})
		if i < 0 {
			return nil, false
		}
		if !slices.Contains(found, own[i]) {
			found = append(found, own[i])
		}
	}
	return found, true
}

// restOn has the session end with approvals.
func (g *Grant) restOn(rests []*SessionApproval) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range rests {
		if g.closed || slices.Contains(g.rests, a) {
			continue
		}
		g.rests = append(g.rests, a)
		g.restTimers = append(g.restTimers, time.AfterFunc(time.Until(a.Until), func() {
			g.End(fmt.Errorf("%w: the time of ApprovalRequest %q is over", ErrExpired, a.Name))
		}))
	}
}

// restsOn are the approvals that the session ends with.
func (g *Grant) restsOn() []*SessionApproval {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.rests)
}

// endResting ends the live sessions that rest on certain approvals.
func (g *Gate) endResting(on func(*SessionApproval) bool, cause error) {
	for _, grant := range g.live() {
		if slices.ContainsFunc(grant.restsOn(), on) {
			grant.End(cause)
		}
	}
}

// stillRests says why what a permit rests on does not hold any more, or nil. The session
// was put down to end with it before, so that what ends from now on ends the session.
func (g *Grant) stillRests(permit *Permit, st *view, now time.Time) *Refusal {
	for _, a := range permit.rests {
		if !g.gate.approved.has(a, now) || !a.bound(st.snapshot) || g.gate.unfollowed(now) {
			return &Refusal{
				Reason: ReasonApprovalVoid, Message: fmt.Sprintf("ApprovalRequest %q does not hold any more; the operation was not forwarded", a.Name),
				Hint: "Ask for another approval.",
			}
		}
	}
	return nil
}

// boundStill says why the session may not go on under another state, or nil: an approval
// that it rests on was for another Connection, or for other policies.
func (g *Grant) boundStill(next *state) error {
	for _, a := range g.restsOn() {
		if !a.bound(next.snapshot) {
			return fmt.Errorf("%w: ApprovalRequest %q is stale, since the connection or a policy changed", ErrApprovalEnded, a.Name)
		}
	}
	return nil
}

// unapproved refuses what has no approval, and says how to ask for one.
func (g *Grant) unapproved(decision *policy.Decision) *Refusal {
	connection := g.gate.config.Connection
	message := fmt.Sprintf("this needs an approval that lasts for a time, and you have none for it on connection %q", connection.Name)
	if decision.Message != "" {
		message += ": " + decision.Message
	}
	hint := fmt.Sprintf("Ask for one: kubectl doorward request %s -n %s --rule %s --reason '<why>' --for %ds\nWithout the plugin: kubectl create -f - <<'EOF'\n%s\nEOF",
		connection.Name, connection.Namespace, strings.Join(ruleArguments(decision.Sessions), " --rule "), g.longest(decision.Sessions), g.wanted(decision.Sessions))
	if command := g.breakGlassCommand(decision.Sessions); command != "" {
		hint += "\nIf it cannot wait, go ahead without, to be reviewed afterwards: " + command
	}
	return &Refusal{Reason: ReasonApprovalRequired, Message: message, Rules: decision.Sessions, Hint: hint}
}

// ruleArguments are rules as the plugin's --rule takes them.
func ruleArguments(rules []policy.RuleRef) []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Policy + "/" + r.Rule
		if r.Cluster {
			names[i] = "ClusterAccessPolicy/" + names[i]
		}
	}
	return names
}

// wanted is the request that the caller has to make, as JSON. What is left out of it,
// admission fills in.
func (g *Grant) wanted(rules []policy.RuleRef) string {
	type rule struct {
		Kind   string `json:"kind"`
		Policy string `json:"policy"`
		Rule   string `json:"rule"`
	}
	type meta struct {
		Namespace    string `json:"namespace"`
		GenerateName string `json:"generateName"`
	}
	type ref struct {
		Name string `json:"name"`
	}
	type session struct {
		Reason          string `json:"reason"`
		DurationSeconds int    `json:"durationSeconds"`
		Rules           []rule `json:"rules"`
	}
	type spec struct {
		ConnectionRef ref     `json:"connectionRef"`
		Scope         string  `json:"scope"`
		Session       session `json:"session"`
	}
	connection := g.gate.config.Connection
	asked := session{Reason: "<why>", DurationSeconds: g.longest(rules)}
	for _, r := range rules {
		kind := "AccessPolicy"
		if r.Cluster {
			kind = "ClusterAccessPolicy"
		}
		asked.Rules = append(asked.Rules, rule{kind, r.Policy, r.Rule})
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // It is for a shell.
	_ = encoder.Encode(struct {  //nolint:errchkjson // strings and numbers can always be encoded
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   meta   `json:"metadata"`
		Spec       spec   `json:"spec"`
	}{"doorward.dev/v1alpha1", "ApprovalRequest", meta{connection.Namespace, connection.Name + "-"}, spec{ref{connection.Name}, policy.ScopeSession, asked}})
	return strings.TrimSpace(text.String())
}

// usualSeconds is how long is proposed where rules allow more.
const usualSeconds = 3600

// longest is how long a request for rules may be, and not more than usual.
func (g *Grant) longest(rules []policy.RuleRef) int {
	seconds := usualSeconds
	for _, ref := range rules {
		if rule := g.view.Load().snapshot.Policies.Rule(ref); rule != nil && rule.Approval != nil {
			seconds = min(seconds, int(rule.Approval.MaxDurationSeconds))
		}
	}
	return seconds
}
