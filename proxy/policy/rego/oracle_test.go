// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// The oracle says the semantics once more in plain loops, to be compared with
// the library on random sets.

func oracleMatches(r policy.Rule, access policy.Access, properties []string) bool {
	action := slices.ContainsFunc(r.Actions, func(glob string) bool {
		if access.Action == "unknown" {
			return glob == "unknown"
		}
		return policy.Match(glob, access.Action)
	})
	resource := len(r.Resources) == 0 || slices.ContainsFunc(r.Resources, func(glob string) bool { return policy.Match(glob, access.Resource) })
	for _, property := range r.Properties {
		if !slices.Contains(properties, property) {
			return false
		}
	}
	return action && resource
}

func oracleApplies(p policy.Policy, caller identity.Principal) bool {
	return slices.ContainsFunc(p.Subjects, func(s policy.Subject) bool {
		if s.Provider != "" && s.Provider != caller.Provider {
			return false
		}
		return s.Kind == "User" && s.Name == caller.UserName || s.Kind == "Group" && slices.Contains(caller.Groups, s.Name)
	})
}

type verdict struct {
	Effect policy.Effect
	Rules  []string
	Access policy.Access
	Terms  int
}

func oracle(set policy.Set, caller identity.Principal, op policy.Operation) verdict {
	rules := map[policy.Effect][]string{}
	first := map[policy.Effect]int{}
	terms := map[int32]bool{}
	covered, direct := make([]bool, len(op.Accesses)), false
	for i, access := range op.Accesses {
		direct = direct || !access.Indirect
		covered[i] = access.Indirect && access.Action != "unknown"
	}
	for _, p := range set.Policies {
		if !oracleApplies(p, caller) {
			continue
		}
		for _, r := range p.Rules {
			for i, access := range op.Accesses {
				if !oracleMatches(r, access, op.Properties) {
					continue
				}
				if at, seen := first[r.Effect]; !seen || i < at {
					first[r.Effect] = i
				}
				if r.Effect != policy.Allow || !access.Indirect || access.Action == "unknown" {
					rules[r.Effect] = append(rules[r.Effect], p.Name+"/"+r.Name)
				}
				covered[i] = covered[i] || r.Effect != policy.Deny
				if r.Effect == policy.RequireApproval {
					terms[r.Approval.Minimum] = true
				}
			}
		}
	}
	named := func(effect policy.Effect) []string {
		slices.Sort(rules[effect])
		return slices.Compact(rules[effect])
	}
	if at, denied := first[policy.Deny]; denied {
		return verdict{Effect: policy.Deny, Rules: named(policy.Deny), Access: op.Accesses[at]}
	}
	if !direct {
		return verdict{Effect: policy.Deny}
	}
	if at := slices.Index(covered, false); at >= 0 {
		return verdict{Effect: policy.Deny, Access: op.Accesses[at]}
	}
	if at, asked := first[policy.RequireApproval]; asked {
		return verdict{Effect: policy.RequireApproval, Rules: named(policy.RequireApproval), Access: op.Accesses[at], Terms: len(terms)}
	}
	return verdict{Effect: policy.Allow, Rules: named(policy.Allow)}
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func some(random *rand.Rand, least int, from ...string) []string {
	list := slices.Clone(from)
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:least+random.IntN(len(list)-least+1)]
	slices.Sort(list)
	return list
}

func randomSet(random *rand.Rand) policy.Set {
	var set policy.Set
	for i := range random.IntN(6) {
		p := policy.Policy{Name: fmt.Sprintf("p%d", i), UID: fmt.Sprintf("u%d", i), Generation: int64(i)}
		for range 1 + random.IntN(3) {
			kind := pick(random, "User", "Group")
			name := pick(random, "alice", "bob", "both")
			p.Subjects = append(p.Subjects, policy.Subject{Kind: kind, Name: name, Provider: pick(random, "", "", "corp", "partner")})
		}
		for j := range random.IntN(6) {
			r := policy.Rule{
				Name: fmt.Sprintf("r%d", j), Effect: pick(random, policy.Allow, policy.Allow, policy.Allow, policy.RequireApproval, policy.Deny),
				Actions: some(random, 1, "select", "sel*", "*", "update", "*date", "u*k*n", "unknown")[:1],
			}
			if random.IntN(4) == 0 {
				r.Actions = some(random, 2, "select", "s*t", "*", "unknown")
			}
			if random.IntN(2) == 0 {
				r.Resources = some(random, 1, "a.x", "a.*", "*.y", "*", "b*y", "")
			}
			if random.IntN(3) == 0 {
				r.Properties = some(random, 1, "unboundedWrite", "multiStatement")
			}
			if r.Effect == policy.RequireApproval {
				r.Approval = &policy.ApprovalTerms{
					Approvers: []policy.Subject{{Kind: "Group", Name: "leads"}}, Minimum: 1 + random.Int32N(2), TimeoutSeconds: 60,
				}
			}
			p.Rules = append(p.Rules, r)
		}
		set.Policies = append(set.Policies, p)
	}
	return set
}

func randomOperation(random *rand.Rand) policy.Operation {
	var o policy.Operation
	for range random.IntN(4) {
		o.Accesses = append(o.Accesses, policy.Access{
			Action: pick(random, "select", "update", "unknown", "select"), Resource: pick(random, "", "a.x", "a.y", "b.y", "b.x"),
			Indirect: random.IntN(3) == 0,
		})
	}
	o.Properties = some(random, 0, "unboundedWrite", "multiStatement", "other")
	return o
}

// TestOracle compares the library, and the cache in front of it, with the
// oracle on random sets, callers and operations.
func TestOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	effects := map[policy.Effect]int{}
	for round := range 60 {
		set := randomSet(random)
		shuffled := policy.Set{Policies: slices.Clone(set.Policies)}
		random.Shuffle(len(shuffled.Policies), func(i, j int) {
			shuffled.Policies[i], shuffled.Policies[j] = shuffled.Policies[j], shuffled.Policies[i]
		})
		e := engine(t, shuffled)
		for range 60 {
			who := identity.Principal{
				Provider: pick(random, "corp", "partner", ""), UserName: pick(random, "alice", "bob", "both", "eve"),
				Groups: some(random, 0, "alice", "both", "leads"),
			}
			o := randomOperation(random)
			decision, err := e.Decide(t.Context(), who, o)
			if err != nil {
				t.Fatal(err)
			}
			got := verdict{Effect: decision.Effect, Access: decision.Access, Terms: len(decision.Approval)}
			for _, r := range decision.Rules {
				got.Rules = append(got.Rules, r.Policy+"/"+r.Rule)
			}
			want := oracle(set, who, o)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("round %d: caller %+v, operation %+v, set %+v: -oracle +library:\n%s", round, who, o, set, diff)
			}
			effects[got.Effect]++
		}
	}
	for _, effect := range []policy.Effect{policy.Allow, policy.RequireApproval, policy.Deny} {
		if effects[effect] < 100 {
			t.Errorf("the sample is one-sided: %v", effects)
		}
	}
}
