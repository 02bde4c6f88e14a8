// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

var client = netip.MustParseAddr("10.1.2.3")

const (
	allowReads = `package doorward.policy

allow contains access if {
	some access in input.operation.accesses
	access.action == "select"
}
`
	allowAll = `package doorward.policy

allow contains access if some access in input.operation.accesses
`
	denyOnCall = `package doorward.policy

deny contains "not while on call" if "oncall" in input.caller.groups
`
	askForUpdates = `package doorward.policy

require_approval contains {
	"approvers": [{"kind": "Group", "name": "leads"}],
	"minimum": 1,
	"timeoutSeconds": 300,
	"message": "a lead looks at it",
	"access": access,
} if {
	some access in input.operation.accesses
	access.action == "update"
}
`
	askForAll = `package doorward.policy

require_approval contains {
	"approvers": [{"kind": "Group", "name": "leads"}],
	"minimum": 1,
	"timeoutSeconds": 300,
}
`
)

func everyone() []policy.Subject { return []policy.Subject{{Kind: policy.Everyone}} }

func withRego(name, text string) policy.Policy {
	return policy.Policy{Name: name, Subjects: everyone(), Rego: text}
}

func withRule(name string, effect policy.Effect, actions ...string) policy.Policy {
	return policy.Policy{Name: name, Subjects: everyone(), Rules: []policy.Rule{{Name: "rule", Effect: effect, Actions: actions}}}
}

// TestModules: what modules answer enters the one decision.
func TestModules(t *testing.T) {
	rego := func(name string) []policy.RuleRef { return []policy.RuleRef{{Policy: name, Rule: customRule}} }
	audit := func(p policy.Policy) policy.Policy { p.Audit = true; return p }
	faulty := func(rule string) string { return "package doorward.policy\n\n" + rule + "\n" }
	bad := "AccessPolicy \"m\" cannot decide it"
	cases := map[string]struct {
		reason   string
		policies []policy.Policy
		who      identity.Principal
		op       policy.Operation
		want     policy.Decision
		// cause is a part of the cause.
		cause string
	}{
		"allowed": {
			reason: "An access in allow is let through.", policies: []policy.Policy{withRego("m", allowReads)}, op: op("select a"),
			want: policy.Decision{Effect: policy.Allow, Rules: rego("m")},
		},
		"not allowed": {
			reason: "What no policy allows is refused.", policies: []policy.Policy{withRego("m", allowReads)}, op: op("select a", "update a"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "update", Resource: "a"}},
		},
		"allowed together": {
			reason: "Modules and rules allow each their part.", policies: []policy.Policy{withRego("m", allowReads), withRule("r", policy.Allow, "update")}, op: op("select a", "update a"),
			want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "m", Rule: customRule}, {Policy: "r", Rule: "rule"}}},
		},
		"denied": {
			reason: "A message in deny refuses whatever else allows.", policies: []policy.Policy{withRego("m", denyOnCall), withRule("r", policy.Allow, "*")}, who: caller("olga", "oncall"), op: op("select a"),
			want: policy.Decision{Effect: policy.Deny, Rules: rego("m"), Access: policy.Access{Action: "select", Resource: "a"}, Message: "not while on call"},
		},
		"denied by a rule": {
			reason: "A Deny of a rule wins over a module's allow.", policies: []policy.Policy{withRego("m", allowAll), withRule("r", policy.Deny, "drop")}, op: op("drop a"),
			want: policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{{Policy: "r", Rule: "rule"}}, Access: policy.Access{Action: "drop", Resource: "a"}},
		},
		"silent": {
			reason: "A module that says nothing changes nothing.", policies: []policy.Policy{withRego("m", denyOnCall), withRule("r", policy.Allow, "*")}, op: op("select a"),
			want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "r", Rule: "rule"}}},
		},
		"asked": {
			reason: "An approval with its access lets it through once approved.", policies: []policy.Policy{withRego("m", askForUpdates)}, op: op("update a"),
			want: policy.Decision{Effect: policy.RequireApproval, Rules: rego("m"), Access: policy.Access{Action: "update", Resource: "a"}, Message: "a lead looks at it", Approval: []policy.ApprovalTerms{leads}},
		},
		"asked for all": {
			reason: "An approval of the whole operation lets nothing through.", policies: []policy.Policy{withRego("m", askForAll)}, op: op("update a"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "update", Resource: "a"}},
		},
		"asked for all that is allowed": {
			reason: "It is asked for besides what is allowed.", policies: []policy.Policy{withRego("m", askForAll), withRule("r", policy.Allow, "update")}, op: op("update a"),
			want: policy.Decision{Effect: policy.RequireApproval, Rules: rego("m"), Access: policy.Access{Action: "update", Resource: "a"}, Approval: []policy.ApprovalTerms{leads}},
		},
		"asked covers its own": {
			reason: "An approval of one access covers no other.", policies: []policy.Policy{withRego("m", askForUpdates)}, op: op("drop a", "update a"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "drop", Resource: "a"}},
		},
		"unreadable": {
			reason: "No module lets through what the protocol could not read.", policies: []policy.Policy{withRego("m", allowAll)}, op: op("unknown"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "unknown"}},
		},
		"unreadable asked": {
			reason: "Neither after approval.", policies: []policy.Policy{withRego("m", strings.Replace(askForUpdates, "update", "unknown", 1))}, op: op("unknown"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "unknown"}},
		},
		"no access": {
			reason: "An operation without an access was not understood.", policies: []policy.Policy{withRego("m", allowAll)},
			want: policy.Decision{Effect: policy.Deny},
		},
		"delegated": {
			reason: "What allows needs a subject that names delegation.", policies: []policy.Policy{withRego("m", allowAll), withRego("n", askForUpdates)}, op: op("update a"),
			who:  identity.Principal{Provider: "corp", UserName: "alice", Kind: identity.Agent, Delegation: []identity.Actor{{Subject: "agent"}}},
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "update", Resource: "a"}}, cause: "no subject of it names a delegation",
		},
		"delegated and denied": {
			reason: "What refuses follows the person.", policies: []policy.Policy{withRego("m", denyOnCall)}, op: op("update a"),
			who:  identity.Principal{Provider: "corp", UserName: "alice", Groups: []string{"oncall"}, Kind: identity.Agent, Delegation: []identity.Actor{{Subject: "agent"}}},
			want: policy.Decision{Effect: policy.Deny, Rules: rego("m"), Access: policy.Access{Action: "update", Resource: "a"}, Message: "not while on call"},
		},
		"audited": {
			reason: "A module in mode Audit decides nothing.", policies: []policy.Policy{audit(withRego("m", denyOnCall)), withRule("r", policy.Allow, "*")}, who: caller("olga", "oncall"), op: op("select a"),
			want: policy.Decision{
				Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "r", Rule: "rule"}},
				Audit: &policy.Decision{Effect: policy.Deny, Rules: rego("m"), Access: policy.Access{Action: "select", Resource: "a"}, Message: "not while on call"},
			},
		},
		"broken and audited": {
			reason: "Nor does one that cannot answer.", policies: []policy.Policy{audit(withRego("m", "package mine")), withRule("r", policy.Allow, "*")}, op: op("select a"),
			want: policy.Decision{
				Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "r", Rule: "rule"}},
				Audit: &policy.Decision{Effect: policy.Deny, Rules: rego("m"), Access: policy.Access{Action: "select", Resource: "a"}, Message: bad},
			},
		},
		"broken": {
			reason: "One that does not compile refuses.", policies: []policy.Policy{withRego("m", "package mine"), withRule("r", policy.Allow, "*")}, op: op("select a"),
			want: policy.Decision{Effect: policy.Deny, Rules: rego("m"), Access: policy.Access{Action: "select", Resource: "a"}, Message: bad}, cause: "1:1: the package must be doorward.policy",
		},
	}
	for name, rule := range map[string][2]string{
		"conflict":              {"allow contains c if c\nc := 1 if input.client\nc := 2 if input.caller.user", "conflict"},
		"error":                 {`deny contains "x" if to_number("x") == 1`, "to_number"},
		"message no text":       {`deny contains 1`, "a message is a text"},
		"message empty":         {`deny contains ""`, "a message is a text"},
		"message of two lines":  {`deny contains "a\nb"`, "a control character"},
		"message too long":      {`deny contains "` + strings.Repeat("x", 513) + `"`, "512 characters"},
		"too many messages":     {`deny contains format_int(i, 10) if some i in numbers.range(1, 33)`, "holds too much"},
		"access of its own":     {`allow contains {"action": "select", "resource": "b", "indirect": false}`, "none of input.operation.accesses"},
		"access without a key":  {`allow contains {"action": "select", "resource": "a"}`, "none of input.operation.accesses"},
		"access no object":      {`allow contains "select a"`, "none of input.operation.accesses"},
		"approval no object":    {`require_approval contains "leads"`, "no object"},
		"approval misspelt":     {`require_approval contains {"approver": [], "minimum": 1, "timeoutSeconds": 300}`, "unknown key"},
		"approval by nobody":    {`require_approval contains {"approvers": [], "minimum": 1, "timeoutSeconds": 300}`, "approvers must be"},
		"approval by no list":   {`require_approval contains {"approvers": {"kind": "User", "name": "x"}, "minimum": 1, "timeoutSeconds": 300}`, "approvers must be"},
		"approval by texts":     {`require_approval contains {"approvers": ["x"], "minimum": 1, "timeoutSeconds": 300}`, "approver is no object"},
		"approval by what":      {`require_approval contains {"approvers": [{"kind": "Everyone", "name": "x"}], "minimum": 1, "timeoutSeconds": 300}`, "kind User or Group"},
		"approver misspelt":     {`require_approval contains {"approvers": [{"kind": "User", "name": "x", "provider": "p"}], "minimum": 1, "timeoutSeconds": 300}`, "unknown key"},
		"approval by none":      {`require_approval contains {"approvers": [{"kind": "User", "name": "x"}], "minimum": 0, "timeoutSeconds": 300}`, "minimum must be"},
		"approval by a half":    {`require_approval contains {"approvers": [{"kind": "User", "name": "x"}], "minimum": 1.5, "timeoutSeconds": 300}`, "minimum must be"},
		"approval at once":      {`require_approval contains {"approvers": [{"kind": "User", "name": "x"}], "minimum": 1, "timeoutSeconds": 9}`, "timeoutSeconds must be"},
		"approval some time":    {`require_approval contains {"approvers": [{"kind": "User", "name": "x"}], "minimum": 1}`, "timeoutSeconds must be"},
		"approval of elsewhere": {`require_approval contains {"approvers": [{"kind": "User", "name": "x"}], "minimum": 1, "timeoutSeconds": 300, "access": {"action": "drop"}}`, "none of input.operation.accesses"},
	} {
		c := cases["broken"]
		c.reason, c.cause, c.policies = "What is no answer refuses.", rule[1], []policy.Policy{withRego("m", faulty(rule[0])), withRule("r", policy.Allow, "*")}
		cases[name] = c
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.who.UserName == "" {
				c.who = caller("alice")
			}
			got, err := decide(t.Context(), engine(t, policy.Set{Policies: c.policies}), c.who, c.op)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.Cause, c.cause) || (c.cause == "") != (got.Cause == "") {
				t.Errorf("cause %q, want one with %q", got.Cause, c.cause)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(policy.Decision{}, "Cause")); diff != "" {
				t.Errorf("%s\n-want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestModulesConnect: a session can rest on a module that could let something through.
func TestModulesConnect(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want policy.Effect
	}{
		"allow":            {allowReads, policy.Allow},
		"require_approval": {askForUpdates, policy.Allow},
		"deny alone":       {denyOnCall, policy.Deny},
		"broken":           {"package mine", policy.Deny},
	} {
		got, err := connect(t.Context(), engine(t, policy.Set{Policies: []policy.Policy{withRego("m", c.text)}}), caller("alice"))
		if err != nil || got.Effect != c.want {
			t.Errorf("%s: got %v, %v, want %s", name, got.Effect, err, c.want)
		}
	}
}

// TestModulesSeeTheMoment: decisions of modules are not kept. Those of others are.
func TestModulesSeeTheMoment(t *testing.T) {
	text := `package doorward.policy

deny contains "too late" if time.clock(input.time.ns)[0] >= 18

deny contains sprintf("not from %s", [input.client]) if not net.cidr_contains("10.0.0.0/8", input.client)

deny contains "not at this connection" if input.connection.labels.tier != "gold"
`
	set := policy.Set{Policies: []policy.Policy{
		{Name: "m", Subjects: []policy.Subject{{Kind: policy.User, Name: "alice"}}, Rego: text},
		withRule("r", policy.Allow, "*"),
	}}
	made, err := New(t.Context(), set, policy.About{Namespace: "prod", Name: "shop", Labels: map[string]string{"tier": "gold"}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(who string, from netip.Addr, now time.Time) policy.Decision {
		t.Helper()
		s, err := made.Standing(t.Context(), caller(who), policy.Circumstances{Time: noon, Client: from})
		if err != nil {
			t.Fatal(err)
		}
		decision, err := s.Decide(t.Context(), op("select a"), now)
		if err != nil {
			t.Fatal(err)
		}
		return decision
	}
	evening := noon.Add(6 * time.Hour)
	if got := at("alice", client, noon); got.Effect != policy.Allow {
		t.Errorf("at noon: %+v", got)
	}
	if got := at("alice", client, evening); got.Message != "too late" {
		t.Errorf("in the evening: %+v", got)
	}
	if got := at("alice", netip.MustParseAddr("192.0.2.1"), noon); got.Message != "not from 192.0.2.1" {
		t.Errorf("from elsewhere: %+v", got)
	}
	hits, misses := made.CacheStats()
	if hits+misses != 0 {
		t.Errorf("the cache was asked: %d hits, %d misses", hits, misses)
	}
	at("bob", client, noon)
	at("bob", client, evening)
	if hits, misses = made.CacheStats(); hits != 1 || misses != 1 {
		t.Errorf("somebody else: %d hits, %d misses, want 1 and 1", hits, misses)
	}
}

// TestModulesEndWithTheirCaller: a caller who is gone waits for no module.
func TestModulesEndWithTheirCaller(t *testing.T) {
	e := engine(t, policy.Set{Policies: []policy.Policy{withRego("m", "package doorward.policy\n\n"+hostile()["nested loops"])}})
	s := stands(t, e, caller("alice"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Decide(ctx, op("select a"), noon); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestModulesBelongToAccessPolicies: no rules beside one, and none for the cluster.
func TestModulesBelongToAccessPolicies(t *testing.T) {
	both, cluster := withRego("m", allowReads), withRego("m", allowReads)
	both.Rules, cluster.Cluster = withRule("r", policy.Allow, "*").Rules, true
	for _, p := range []policy.Policy{both, cluster} {
		if _, err := New(t.Context(), policy.Set{Policies: []policy.Policy{p}}, policy.About{}); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}
