// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

func TestDecide(t *testing.T) {
	foreign := caller("bob", "oncall")
	foreign.Provider = "partner"
	cases := map[string]struct {
		reason string
		caller identity.Principal
		op     policy.Operation
		want   policy.Decision
	}{
		"Allowed": {
			reason: "an Allow rule matches action and resource",
			caller: caller("alice", "analysts"), op: op("select public.orders"),
			want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref("analysts", "read")}},
		},
		"AllowedWithoutResource": {
			reason: "a rule without resources matches operations without one",
			caller: caller("alice", "analysts"), op: op("setLocal", "show"),
			want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref("analysts", "session")}},
		},
		"DefaultDeny": {
			reason: "what no rule allows is refused, and the access is named",
			caller: caller("alice", "analysts"), op: op("drop public.orders"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "drop", Resource: "public.orders"}},
		},
		"OneAccessNotAllowed": {
			reason: "every access must be allowed, not any",
			caller: caller("alice", "analysts"), op: op("select public.orders", "select vault.keys"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "select", Resource: "vault.keys"}},
		},
		"Nobody": {
			reason: "a caller without policies can do nothing",
			caller: caller("mallory"), op: op("select public.orders"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "select", Resource: "public.orders"}},
		},
		"NoAccess": {
			reason: "an operation that accesses nothing was not understood, even for one who may do anything",
			caller: caller("root"), op: policy.Operation{},
			want: policy.Decision{Effect: policy.Deny},
		},
		"NoAccessWithProperties": {
			reason: "properties are no accesses",
			caller: caller("root"), op: with(policy.Operation{}, "multiStatement"),
			want: policy.Decision{Effect: policy.Deny},
		},
		"Unknown": {
			reason: "a star does not allow what could not be read",
			caller: caller("root"), op: op("unknown public.orders"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "unknown", Resource: "public.orders"}},
		},
		"DenyWins": {
			reason: "a Deny wins over an Allow, with its message",
			caller: caller("alice", "analysts"), op: op("select public.orders", "select public.secrets"),
			want: policy.Decision{
				Effect: policy.Deny, Rules: []policy.RuleRef{ref("guard", "secrets")},
				Access: policy.Access{Action: "select", Resource: "public.secrets"}, Message: "nobody reads this",
			},
		},
		"DenyWinsOverApproval": {
			reason: "a Deny wins over RequireApproval",
			caller: caller("bob", "oncall"), op: with(op("update public.orders"), "unboundedWrite"),
			want: policy.Decision{
				Effect: policy.Deny, Rules: []policy.RuleRef{ref("guard", "unbounded")},
				Access: policy.Access{Action: "update", Resource: "public.orders"}, Message: "add a WHERE",
			},
		},
		"DeniesAddUp": {
			reason: "all denying rules are named; the message is that of the first access",
			caller: caller("alice", "analysts"), op: with(op("delete public.orders", "select public.secrets"), "multiStatement", "unboundedWrite"),
			want: policy.Decision{
				Effect: policy.Deny, Rules: []policy.RuleRef{ref("guard", "secrets"), ref("guard", "unbounded")},
				Access: policy.Access{Action: "delete", Resource: "public.orders"}, Message: "add a WHERE",
			},
		},
		"PropertyAbsent": {
			reason: "a rule with properties is silent where they are absent",
			caller: caller("root", "analysts"), op: op("delete public.orders"),
			want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref("everything", "all")}},
		},
		"Approval": {
			reason: "equal terms of two rules are one",
			caller: caller("bob", "oncall"), op: op("update public.orders"),
			want: policy.Decision{
				Effect: policy.RequireApproval, Rules: []policy.RuleRef{ref("oncall", "change"), ref("oncall", "change-again")},
				Access: policy.Access{Action: "update", Resource: "public.orders"}, Approval: []policy.ApprovalTerms{leads},
			},
		},
		"ApprovalTermsAddUp": {
			reason: "different terms must each be met; the message comes from the rule that has one",
			caller: caller("bob", "analysts", "oncall"), op: op("select public.orders", "update public.customers"),
			want: policy.Decision{
				Effect:  policy.RequireApproval,
				Rules:   []policy.RuleRef{ref("oncall", "change"), ref("oncall", "change-again"), ref("oncall", "privacy")},
				Access:  policy.Access{Action: "update", Resource: "public.customers"},
				Message: "customer data",
				Approval: []policy.ApprovalTerms{
					{Approvers: []policy.Subject{{Kind: "Group", Name: "leads"}}, Minimum: 1, TimeoutSeconds: 300},
					{Approvers: []policy.Subject{{Kind: "Group", Name: "privacy"}, {Kind: "User", Name: "paula"}}, Minimum: 2, TimeoutSeconds: 60},
				},
			},
		},
		"ApprovalCoversItsAccessOnly": {
			reason: "approval of one access does not let another through that no rule covers",
			caller: caller("bob", "oncall"), op: op("select vault.keys", "update public.orders"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "select", Resource: "vault.keys"}},
		},
		"OtherProvider": {
			reason: "a subject that asks for a provider is not matched by another's group of that name",
			caller: foreign, op: op("update public.orders"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "update", Resource: "public.orders"}},
		},
		"GroupIsNoUser": {
			reason: "a user named like a group is not in it",
			caller: caller("analysts"), op: op("select public.orders"),
			want: policy.Decision{Effect: policy.Deny, Access: policy.Access{Action: "select", Resource: "public.orders"}},
		},
	}
	e := engine(t, shop())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, round := range []string{"evaluated", "cached"} {
				got, err := decide(t.Context(), e, tc.caller, tc.op)
				if err != nil {
					t.Fatalf("%s: %s: %v", round, tc.reason, err)
				}
				if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s: -want +got:\n%s", round, tc.reason, diff)
				}
			}
		})
	}
}

func TestConnect(t *testing.T) {
	cases := map[string]struct {
		reason string
		caller identity.Principal
		want   policy.Decision
	}{
		"Analyst":  {reason: "the session rests on policies that can let something through", caller: caller("alice", "analysts"), want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref("analysts", "")}}},
		"Approval": {reason: "RequireApproval is enough to connect", caller: caller("olga"), want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref("oncall", "")}}},
		"Both":     {reason: "policies are sorted by name", caller: caller("bob", "oncall", "analysts"), want: policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{ref("analysts", ""), ref("oncall", "")}}},
		"DenyOnly": {reason: "a Deny alone lets nothing through", caller: identity.Principal{Provider: "partner", UserName: "bob", Groups: []string{"oncall"}}, want: policy.Decision{Effect: policy.Deny}},
		"Nobody":   {reason: "no policy, no session", caller: caller("mallory"), want: policy.Decision{Effect: policy.Deny}},
	}
	e := engine(t, shop())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := connect(t.Context(), e, tc.caller)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMasks(t *testing.T) {
	var got []string
	for _, m := range stands(t, engine(t, shop()), caller("bob", "oncall", "analysts")).Masks() {
		got = append(got, m.Policy+"/"+m.Name)
	}
	want := []string{"analysts/cards", "analysts/emails", "oncall/phones"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("masks of all matching policies add up, sorted: -want +got:\n%s", diff)
	}
	if masks := stands(t, engine(t, shop()), caller("mallory")).Masks(); len(masks) != 0 {
		t.Errorf("Masks = %v for a caller without policies", masks)
	}
}

func TestEmptySet(t *testing.T) {
	e := engine(t, policy.Set{})
	if got, err := connect(t.Context(), e, caller("root")); err != nil || got.Effect != policy.Deny {
		t.Errorf("Connect = %v, %v, want Deny: no policy, no access", got, err)
	}
	if got, err := decide(t.Context(), e, caller("root"), op("select public.orders")); err != nil || got.Effect != policy.Deny {
		t.Errorf("Decide = %v, %v, want Deny", got, err)
	}
}

func TestDecideEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := decide(ctx, engine(t, shop()), caller("root"), op("select public.orders"))
	if err == nil || got.Effect == policy.Allow {
		t.Errorf("Decide = %v, %v, want an error: an evaluation without its time refuses", got, err)
	}
}

// TestDecideDoesNotAlias: what a caller does with its slices later does not
// change a cached decision or its key.
func TestDecideDoesNotAlias(t *testing.T) {
	e := engine(t, shop())
	accesses := []policy.Access{{Action: "select", Resource: "public.orders"}}
	if _, err := decide(t.Context(), e, caller("alice", "analysts"), policy.Operation{Accesses: accesses}); err != nil {
		t.Fatal(err)
	}
	accesses[0].Resource = "public.secrets"
	got, err := decide(t.Context(), e, caller("alice", "analysts"), policy.Operation{Accesses: accesses})
	if err != nil || got.Effect != policy.Deny {
		t.Errorf("Decide = %v, %v, want Deny", got.Effect, err)
	}
}

func TestNewRefuses(t *testing.T) {
	rule := func(change func(*policy.Rule)) policy.Set {
		r := policy.Rule{Name: "r", Effect: policy.Allow, Actions: []string{"select"}}
		change(&r)
		return policy.Set{Policies: []policy.Policy{{Name: "p", Subjects: []policy.Subject{{Kind: "User", Name: "u"}}, Rules: []policy.Rule{r}}}}
	}
	subjects := func(list ...policy.Subject) policy.Set {
		return policy.Set{Policies: []policy.Policy{{Name: "p", Subjects: list}}}
	}
	masks := func(m policy.Mask) policy.Set {
		return policy.Set{Policies: []policy.Policy{{Name: "p", Subjects: []policy.Subject{{Kind: "User", Name: "u"}}, Masks: []policy.Mask{m}}}}
	}
	cases := map[string]struct {
		reason string
		set    policy.Set
		text   string
	}{
		"UnknownEffect": {reason: "checklist 40: a typo is an error, never broader access", set: rule(func(r *policy.Rule) { r.Effect = "Permit" }), text: `"Permit"`},
		"NoEffect":      {reason: "checklist 40: nor is an absent effect", set: rule(func(r *policy.Rule) { r.Effect = "" }), text: "effect"},
		"NoActions":     {reason: "no actions is not any action", set: rule(func(r *policy.Rule) { r.Actions = nil }), text: "no actions"},
		"EmptyAction":   {reason: "an empty action matches nothing anybody meant", set: rule(func(r *policy.Rule) { r.Actions = []string{""} }), text: "empty"},
		"BadGlob":       {reason: "a glob must be text", set: rule(func(r *policy.Rule) { r.Resources = []string{"\xff*"} }), text: "invalid glob"},
		"NoTerms":       {reason: "approval needs terms", set: rule(func(r *policy.Rule) { r.Effect = policy.RequireApproval }), text: "approvers"},
		"NoApprovers": {reason: "approval by nobody is none", set: rule(func(r *policy.Rule) {
			r.Effect, r.Approval = policy.RequireApproval, &policy.ApprovalTerms{Minimum: 1, TimeoutSeconds: 1}
		}), text: "approvers"},
		"NoMinimum": {reason: "zero approvals would approve itself", set: rule(func(r *policy.Rule) {
			terms := leads
			terms.Minimum = 0
			r.Effect, r.Approval = policy.RequireApproval, &terms
		}), text: "minimum"},
		"TermsOnAllow":    {reason: "terms on an Allow are a mistake about the effect", set: rule(func(r *policy.Rule) { r.Approval = &leads }), text: "RequireApproval"},
		"UnknownSubject":  {reason: "checklist 40: an unknown kind of subject is an error", set: subjects(policy.Subject{Kind: "Team", Name: "x"}), text: `"Team"`},
		"NamelessSubject": {reason: "an empty name would match a caller without one", set: subjects(policy.Subject{Kind: "User"}), text: "without a name"},
		"NoSubjects":      {reason: "no subjects is not everybody", set: subjects(), text: "no subjects"},
		"UnknownMethod":   {reason: "checklist 40: an unknown mask is an error, never no mask", set: masks(policy.Mask{Name: "m", Fields: []string{"*"}, Method: policy.Method{Type: "Scramble"}}), text: `"Scramble"`},
		"KeepNone":        {reason: "KeepLast needs its count", set: masks(policy.Mask{Name: "m", Fields: []string{"*"}, Method: policy.Method{Type: "KeepLast"}}), text: "KeepLast"},
		"NoFields":        {reason: "a mask without fields masks nothing", set: masks(policy.Mask{Name: "m", Method: policy.Method{Type: "Null"}}), text: "no fields"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(t.Context(), tc.set, policy.About{})
			if err == nil || !strings.Contains(err.Error(), tc.text) || !strings.Contains(err.Error(), `"p"`) {
				t.Errorf("%s: got %v, want an error that names the policy and %s", tc.reason, err, tc.text)
			}
		})
	}
}

// TestManyPolicies: callers beyond the class that fits without allocation.
func TestManyPolicies(t *testing.T) {
	var set policy.Set
	for i := range 600 {
		set.Policies = append(set.Policies, policy.Policy{
			Name: fmt.Sprintf("p%04d", i), Subjects: []policy.Subject{{Kind: "Group", Name: fmt.Sprintf("g%d", i)}},
			Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{fmt.Sprintf("a%d", i)}}},
		})
	}
	e := engine(t, set)
	for _, tc := range []struct {
		group, action string
		want          policy.Effect
	}{{"g599", "a599", policy.Allow}, {"g599", "a0", policy.Deny}, {"g0", "a0", policy.Allow}, {"g0", "a599", policy.Deny}} {
		got, err := decide(t.Context(), e, caller("u", tc.group), op(tc.action))
		if err != nil || got.Effect != tc.want {
			t.Errorf("%s may %s: %v, %v, want %v", tc.group, tc.action, got.Effect, err, tc.want)
		}
	}
}

func TestAnswersFailClosed(t *testing.T) {
	e := engine(t, shop())
	if _, err := e.library.ask(t.Context(), &e.library.decision, e.store, ast.NewObject()); err == nil {
		t.Error("an undefined decision must be an error")
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, errors.New("late"))
	defer cancel()
	if _, err := connect(ctx, e, caller("root")); err == nil {
		t.Error("a timeout must be an error")
	}
}
