// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

var (
	leads   = policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: "Group", Name: "leads"}}, Minimum: 1, TimeoutSeconds: 300}
	privacy = policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: "User", Name: "paula"}, {Kind: "Group", Name: "privacy"}}, Minimum: 2, TimeoutSeconds: 60}
)

// shop is the Set of the table tests: what analysts, on-call engineers and
// everybody may do.
func shop() policy.Set {
	return policy.Set{Policies: []policy.Policy{
		{
			Name: "oncall", UID: "u2", Generation: 7, Subjects: []policy.Subject{{Kind: "User", Name: "olga"}, {Kind: "Group", Name: "oncall", Provider: "corp"}},
			Rules: []policy.Rule{
				{Name: "privacy", Effect: policy.RequireApproval, Actions: []string{"update"}, Resources: []string{"public.customers"}, Message: "customer data", Approval: &privacy},
				{Name: "change", Effect: policy.RequireApproval, Actions: []string{"update", "insert"}, Resources: []string{"public.*"}, Approval: &leads},
				{Name: "change-again", Effect: policy.RequireApproval, Actions: []string{"update"}, Resources: []string{"public.*"}, Approval: &leads},
			},
			Masks: []policy.Mask{{Name: "phones", Fields: []string{"public.customers.phone"}, Method: policy.Method{Type: "Null"}}},
		},
		{
			Name: "analysts", UID: "u1", Generation: 3, Subjects: []policy.Subject{{Kind: "Group", Name: "analysts"}},
			Rules: []policy.Rule{
				{Name: "read", Effect: policy.Allow, Actions: []string{"select"}, Resources: []string{"public.*"}},
				{Name: "session", Effect: policy.Allow, Actions: []string{"show", "set*"}},
			},
			Masks: []policy.Mask{
				{Name: "emails", Fields: []string{"*.email"}, Method: policy.Method{Type: "Redact"}},
				{Name: "cards", Fields: []string{"public.customers.card"}, Method: policy.Method{Type: "KeepLast", KeepLast: 4}},
			},
		},
		{
			Name: "guard", UID: "u3", Generation: 1, Subjects: []policy.Subject{{Kind: "Group", Name: "analysts"}, {Kind: "Group", Name: "oncall"}},
			Rules: []policy.Rule{
				{Name: "secrets", Effect: policy.Deny, Actions: []string{"*"}, Resources: []string{"public.secrets"}, Message: "nobody reads this"},
				{Name: "unbounded", Effect: policy.Deny, Actions: []string{"update", "delete"}, Properties: []string{"unboundedWrite"}, Message: "add a WHERE"},
			},
		},
		{
			Name: "everything", UID: "u4", Generation: 1, Subjects: []policy.Subject{{Kind: "User", Name: "root"}},
			Rules: []policy.Rule{{Name: "all", Effect: policy.Allow, Actions: []string{"*"}}},
		},
	}}
}

func engine(tb testing.TB, set policy.Set) *Engine {
	tb.Helper()
	e, err := New(tb.Context(), set, policy.About{})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func caller(user string, groups ...string) identity.Principal {
	return identity.Principal{Provider: "corp", UserName: user, Groups: groups}
}

func ref(name, rule string) policy.RuleRef {
	for _, p := range shop().Policies {
		if p.Name == name {
			return policy.RuleRef{Policy: name, UID: p.UID, Generation: p.Generation, Rule: rule}
		}
	}
	panic("policy/rego: internal error: no such policy: " + name)
}

func op(accesses ...string) policy.Operation {
	var o policy.Operation
	for _, access := range accesses {
		action, resource, _ := strings.Cut(access, " ")
		o.Accesses = append(o.Accesses, policy.Access{Action: action, Resource: resource})
	}
	return o
}

func with(o policy.Operation, properties ...string) policy.Operation {
	o.Properties = properties
	return o
}

// noon is when the tests decide: a Wednesday.
var noon = time.Date(2026, time.July, 15, 12, 0, 0, 0, time.UTC)

func stands(tb testing.TB, e *Engine, who identity.Principal) policy.Standing {
	tb.Helper()
	s, err := e.Standing(tb.Context(), who, policy.Circumstances{Time: noon})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func decide(ctx context.Context, e *Engine, who identity.Principal, o policy.Operation) (policy.Decision, error) {
	s, err := e.Standing(ctx, who, policy.Circumstances{Time: noon})
	if err != nil {
		return policy.Decision{}, err
	}
	return s.Decide(ctx, o, noon)
}

func connect(ctx context.Context, e *Engine, who identity.Principal) (policy.Decision, error) {
	s, err := e.Standing(ctx, who, policy.Circumstances{Time: noon})
	if err != nil {
		return policy.Decision{}, err
	}
	return s.Connect(ctx)
}
