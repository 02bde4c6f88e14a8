// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// Sized is a Set of policies of 10 rules each, for one group each, to measure engines
// with. The sixth rule of a policy is about a prefix of resources, the others about two by
// name; every fifth policy asks for approval or refuses.
func Sized(rules int) policy.Set {
	leads := &policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: policy.Group, Name: "leads"}}, Minimum: 1, TimeoutSeconds: 300}
	var set policy.Set
	for i := range rules / 10 {
		p := policy.Policy{Name: fmt.Sprintf("p%03d", i), Subjects: []policy.Subject{{Kind: policy.Group, Name: fmt.Sprintf("g%d", i)}}}
		for j := range 10 {
			r := policy.Rule{
				Name: fmt.Sprintf("r%d", j), Effect: policy.Allow, Actions: []string{"select", "insert"},
				Resources: []string{fmt.Sprintf("public.table%d_%d", i, j), fmt.Sprintf("s%d.table%d", i, j)},
			}
			switch {
			case j == 5:
				r.Resources = []string{fmt.Sprintf("s%d.*", i)}
			case i%5 == 4 && j == 6:
				r.Effect, r.Actions, r.Approval = policy.RequireApproval, []string{"update", "delete"}, leads
			case i%5 == 4 && j == 7:
				r.Effect, r.Actions, r.Properties = policy.Deny, []string{"*"}, []string{"unboundedWrite"}
			}
			p.Rules = append(p.Rules, r)
		}
		set.Policies = append(set.Policies, p)
	}
	return set
}

// Member is a caller of the last policies of a Set that Sized made, as many as are said.
func Member(set policy.Set, of int) identity.Principal {
	who := identity.Principal{Provider: "corp", UserName: "alice", Kind: identity.Human, Groups: []string{"others"}}
	for i := max(len(set.Policies)-of, 0); i < len(set.Policies); i++ {
		who.Groups = append(who.Groups, fmt.Sprintf("g%d", i))
	}
	slices.Sort(who.Groups)
	return who
}

// Allowed is an operation of two accesses that Member may do: of one table by its name,
// and of another by its prefix, which n numbers.
func Allowed(set policy.Set, n int) policy.Operation {
	last := len(set.Policies) - 1
	return policy.Operation{
		Accesses: []policy.Access{
			{Action: "select", Resource: fmt.Sprintf("public.table%d_3", last)},
			{Action: "select", Resource: fmt.Sprintf("s%d.t%d", last, n)},
		},
		Properties: []string{"multiStatement"},
	}
}
