// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

func namesDelegation(s policy.Subject) bool {
	return slices.ContainsFunc(append([]policy.Subject{s}, s.All...), func(part policy.Subject) bool {
		return slices.Contains([]string{policy.Actor, policy.OnBehalfOfUser, policy.OnBehalfOfGroup}, part.Kind)
	})
}

// TestDelegationIsNamed: where no subject names delegation, whoever acts for another
// has no session and gets nothing through, and every mask holds.
func TestDelegationIsNamed(t *testing.T) {
	random := rand.New(rand.NewPCG(53, 59))
	lost := 0
	for range rounds(100) {
		set, ops := randomSet(random), randomOperations(random)
		for i := range set.Policies {
			p := &set.Policies[i]
			p.Subjects = slices.DeleteFunc(p.Subjects, namesDelegation)
			if len(p.Subjects) == 0 {
				p.Subjects = []policy.Subject{{Kind: policy.Everyone}}
			}
			for j := range p.Masks {
				p.Masks[j].Exempt = slices.DeleteFunc(p.Masks[j].Exempt, namesDelegation)
			}
		}
		e := engine(t, set)
		for range 6 {
			person, at := randomCaller(random), randomAt(random)
			person.Delegation = nil
			actor := delegate(random, person)
			his, hers := outcomeOf(t, e, actor, at, ops), outcomeOf(t, e, person, at, ops)
			if wider := widened(hers, his); wider != "" {
				t.Fatalf("%s: person %+v, actor %+v, set %+v", wider, person, actor, set)
			}
			if his.Session {
				t.Fatalf("a session without a subject that names delegation: %+v, set %+v", actor, set)
			}
			for i, v := range his.Verdicts {
				if v.Effect != policy.Deny {
					t.Fatalf("%+v is %s without a subject that names delegation: %+v, set %+v", ops[i], v.Effect, actor, set)
				}
				if hers.Verdicts[i].Effect != policy.Deny {
					lost++
				}
			}
		}
	}
	if lost == 0 && long() {
		t.Error("the sample never met it: no person could do anything")
	}
}

// TestRestrictionsFollowThePerson: whatever binds a person binds an agent that acts for
// her, also where policies let it do things that she may not.
func TestRestrictionsFollowThePerson(t *testing.T) {
	random := rand.New(rand.NewPCG(61, 67))
	restricted := 0
	for range rounds(300) {
		set, op := randomSet(random), randomOperation(random)
		e := engine(t, set)
		for range 6 {
			person, at := randomCaller(random), randomAt(random)
			person.Delegation, person.Kind = nil, identity.Human
			actor := delegate(random, person)
			actor.Kind = pick(random, identity.Agent, identity.Human)
			his, hers := mustStand(t, e, actor, at), mustStand(t, e, person, at)
			for _, number := range hers.enforced.bound {
				if !slices.Contains(his.enforced.bound, number) {
					t.Fatalf("%q binds %+v and not %+v, set %+v", e.compiled.set.Policies[number].Name, person, actor, set)
				}
			}
			if len(his.Limits()) < len(hers.Limits()) {
				t.Fatalf("limits of %+v do not bind %+v, set %+v", person, actor, set)
			}
			what, err := hers.Decide(t.Context(), op, at.Time)
			if err != nil {
				t.Fatal(err)
			}
			if what.Effect == policy.Deny && len(what.Rules) > 0 {
				restricted++
				if then, err := his.Decide(t.Context(), op, at.Time); err != nil || then.Effect != policy.Deny {
					t.Fatalf("%+v is refused to %+v, and %s for %+v (%v), set %+v", op, person, then.Effect, actor, err, set)
				}
			}
		}
	}
	if restricted == 0 && long() {
		t.Error("the sample never met it: no Deny rule")
	}
}

func mustStand(tb testing.TB, e *Engine, who identity.Principal, at policy.Circumstances) *standing {
	tb.Helper()
	s, err := e.Standing(tb.Context(), who, at)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(*standing)
}
