// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestAdvise: a guess ends the session where a rule denies it that somebody wrote, and nothing else
// does; of what was guessed the record has only what the rule names (checklist 8).
func TestAdvise(t *testing.T) {
	uptime := policy.RuleRef{Policy: "shop", UID: "p-1", Generation: 7, Rule: "no-uptime"}
	module := policy.RuleRef{Policy: "other", UID: "p-2", Generation: 1, Rule: "rego"}
	denied := func(refs ...policy.RuleRef) policy.Decision { return policy.Decision{Effect: policy.Deny, Rules: refs} }
	guess := policy.Operation{Accesses: []policy.Access{{Action: "exec", Resource: "uptime-secret"}}}
	tests := map[string]struct {
		reason string
		answer policy.Decision
		guess  policy.Operation
		names  string
	}{
		"Rule":          {"a rule with effect Deny", denied(uptime), guess, "exec uptime*"},
		"RuleAndModule": {"the rule is what counts", denied(module, uptime), guess, "exec uptime*"},
		"Module":        {"a module may deny whatever it does not know", denied(module), guess, ""},
		"DefaultDeny":   {"shells may do what exec may not", denied(), guess, ""},
		"Approval":      {"shells do not ask", policy.Decision{Effect: policy.RequireApproval, Rules: []policy.RuleRef{uptime}}, guess, ""},
		"Allow":         {"nothing is wrong", decision(policy.Allow), guess, ""},
		"AllowingRule":  {"a decision that cannot be", denied(policy.RuleRef{Policy: "shop", UID: "p-1", Generation: 7, Rule: "shell"}), guess, ""},
		"OtherRule":     {"the engine is not asked about what no rule names", denied(uptime), policy.Operation{Accesses: []policy.Access{{Action: "exec", Resource: "id"}}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			asked := false
			w := newWorld(t, allowing)
			w.apply(rules{connect: decision(policy.Allow), decide: test.answer, asked: func() { asked = true }}, func(s *snapshot.Snapshot) {
				s.Policies.Policies = append(s.Policies.Policies, policy.Policy{Name: "shop", UID: "p-1", Generation: 7, Rules: []policy.Rule{
					{Name: "shell", Effect: policy.Allow, Actions: []string{"shell"}},
					{Name: "no-uptime", Effect: policy.Deny, Actions: []string{"exec"}, Resources: []string{"reboot", "uptime*"}, Message: "it is known"},
				}})
			})
			g := w.authorize()
			if got := g.Advise(test.guess); got != (test.names != "") || got != (g.Context().Err() != nil) {
				t.Errorf("%s: Advise says %t, the session's end is %v", test.reason, got, context.Cause(g.Context()))
			}
			if asked == (name == "OtherRule") {
				t.Errorf("%s: the engine was asked: %t", test.reason, asked)
			}
			g.Close("left")
			if decided := w.log.OfType(record.OperationDecided); len(decided) > 0 {
				t.Errorf("a decision is on record: %+v", decided)
			}
			end := w.log.OfType(record.SessionEnd)[0]
			if test.names == "" {
				if end.ReasonCode != EndClosed || end.Reason != "left" || end.Decision != nil {
					t.Errorf("%s: the end is %s %q %+v", test.reason, end.ReasonCode, end.Reason, end.Decision)
				}
				return
			}
			want := &record.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{uptime}, Message: "it is known"}
			if diff := cmp.Diff(want, end.Decision); diff != "" || end.ReasonCode != EndAdvisory {
				t.Errorf("the end is %s: -want +got:\n%s", end.ReasonCode, diff)
			}
			for _, part := range []string{"advisory detector", "no control", `"` + test.names + `"`, `rule "no-uptime" of AccessPolicy "shop" (generation 7): it is known`, "kubectl -n data get accesspolicy shop"} {
				if !strings.Contains(end.Reason, part) {
					t.Errorf("the reason lacks %q: %s", part, end.Reason)
				}
			}
			if slices.ContainsFunc(w.log.Events(), func(e record.Event) bool { return strings.Contains(e.Reason, "secret") }) {
				t.Error("what was guessed is on record")
			}
		})
	}
}

// TestNamedBy: what is said of an operation are the rule's own words.
func TestNamedBy(t *testing.T) {
	op := policy.Operation{Accesses: []policy.Access{{Action: "exec", Resource: "rm"}, {Action: "write", Resource: "/etc/x"}}}
	for name, test := range map[string]struct {
		rule policy.Rule
		want string
	}{
		"Second":     {policy.Rule{Actions: []string{"exec", "write"}, Resources: []string{"/etc/*"}}, "write /etc/*"},
		"NoResource": {policy.Rule{Actions: []string{"*"}}, "exec"},
		"None":       {policy.Rule{Actions: []string{"read"}}, ""},
	} {
		if got := namedBy(&test.rule, op); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
