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

// outcome is all that an engine says of one caller and some operations.
type outcome struct {
	Session  bool
	Verdicts []verdict
	Masks    []string
	Limits   int
	Role     string
}

func outcomeOf(tb testing.TB, e *Engine, who identity.Principal, at policy.Circumstances, ops []policy.Operation) outcome {
	tb.Helper()
	s, err := e.Standing(tb.Context(), who, at)
	if err != nil {
		tb.Fatal(err)
	}
	connect, err := s.Connect(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	o := outcome{Session: connect.Effect == policy.Allow, Masks: maskNames(s.Masks()), Limits: len(s.Limits())}
	if o.Role, err = s.TargetRole(); err != nil {
		o.Role = "conflict"
	}
	for _, op := range ops {
		decision, err := s.Decide(tb.Context(), op, at.Time)
		if err != nil {
			tb.Fatal(err)
		}
		o.Verdicts = append(o.Verdicts, read(decision))
	}
	return o
}

// widened says where one outcome lets more through, or shows more, than another.
func widened(from, to outcome) string {
	if to.Session && !from.Session {
		return "there is a session where there was none"
	}
	for i := range from.Verdicts {
		if rank(to.Verdicts[i].Effect) > rank(from.Verdicts[i].Effect) {
			return fmt.Sprintf("operation %d: %s became %s", i, from.Verdicts[i].Effect, to.Verdicts[i].Effect)
		}
		for _, minimum := range from.Verdicts[i].Minimums {
			if to.Verdicts[i].Effect == policy.RequireApproval && !slices.Contains(to.Verdicts[i].Minimums, minimum) {
				return fmt.Sprintf("operation %d: approval by %d is needed no more", i, minimum)
			}
		}
	}
	for _, name := range from.Masks {
		if !slices.Contains(to.Masks, name) {
			return "mask " + name + " is gone"
		}
	}
	if to.Limits < from.Limits {
		return "a limit is gone"
	}
	return ""
}

// TestNeverWidens: what restricts, once added, gives nobody more; nor does an Allow
// that is removed.
func TestNeverWidens(t *testing.T) {
	anywhere := func(random *rand.Rand, set policy.Set, change func(*policy.Policy)) policy.Set {
		changed := policy.Set{Policies: slices.Clone(set.Policies)}
		if len(changed.Policies) == 0 {
			return changed
		}
		p := &changed.Policies[random.IntN(len(changed.Policies))]
		p.Rules, p.Masks = slices.Clone(p.Rules), slices.Clone(p.Masks)
		change(p)
		return changed
	}
	with := func(set policy.Set, p policy.Policy) policy.Set {
		return policy.Set{Policies: append(slices.Clone(set.Policies), p)}
	}
	cases := map[string]struct {
		reason string
		change func(*rand.Rand, policy.Set) policy.Set
	}{
		"AddDenyRule": {reason: "another Deny rule in any policy", change: func(random *rand.Rand, set policy.Set) policy.Set {
			return anywhere(random, set, func(p *policy.Policy) {
				r := randomRule(random, "added", policy.Deny)
				if chance(random, 2) {
					r.Properties = nil
				}
				p.Rules = append(p.Rules, r)
			})
		}},
		"AddMask": {reason: "another mask in any policy", change: func(random *rand.Rand, set policy.Set) policy.Set {
			return anywhere(random, set, func(p *policy.Policy) { p.Masks = append(p.Masks, randomMask(random, "added")) })
		}},
		"AddLimit": {reason: "limits for whom had none", change: func(random *rand.Rand, set policy.Set) policy.Set {
			return anywhere(random, set, func(p *policy.Policy) { p.Limits = &policy.Limits{IdleSeconds: 60} })
		}},
		"AddClusterAccessPolicy": {reason: "it restricts and never lets through", change: func(random *rand.Rand, set policy.Set) policy.Set {
			p := randomPolicy(random, "added")
			p.Cluster = true
			p.Rules = slices.DeleteFunc(p.Rules, func(r policy.Rule) bool { return r.Effect == policy.Allow })
			return with(set, p)
		}},
		"AddDenyingPolicy": {reason: "a policy of Deny rules, whoever its subjects", change: func(random *rand.Rand, set policy.Set) policy.Set {
			p := randomPolicy(random, "added")
			p.Rules = slices.DeleteFunc(p.Rules, func(r policy.Rule) bool { return r.Effect != policy.Deny })
			return with(set, p)
		}},
		"RemoveAllow": {reason: "what is not allowed is refused", change: func(random *rand.Rand, set policy.Set) policy.Set {
			return anywhere(random, set, func(p *policy.Policy) {
				if i := slices.IndexFunc(p.Rules, func(r policy.Rule) bool { return r.Effect == policy.Allow }); i >= 0 {
					p.Rules = slices.Delete(p.Rules, i, i+1)
				}
			})
		}},
		"RemoveExemption": {reason: "nobody is spared any more", change: func(random *rand.Rand, set policy.Set) policy.Set {
			return anywhere(random, set, func(p *policy.Policy) {
				for i := range p.Masks {
					p.Masks[i].Exempt = nil
				}
			})
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(17, uint64(len(name))))
			narrowed := 0
			for range rounds(40) {
				set, ops := randomSet(random), randomOperations(random)
				changed := tc.change(random, set)
				first, second := engine(t, set), engine(t, changed)
				for range 10 {
					who, at := randomCaller(random), randomAt(random)
					before, after := outcomeOf(t, first, who, at, ops), outcomeOf(t, second, who, at, ops)
					if wider := widened(before, after); wider != "" {
						t.Fatalf("%s: %s: caller %+v at %+v, operations %+v, set %+v, then %+v", tc.reason, wider, who, at, ops, set, changed)
					}
					if widened(after, before) != "" {
						narrowed++
					}
				}
			}
			if narrowed == 0 && long() {
				t.Errorf("%s: the sample never met it", tc.reason)
			}
		})
	}
}

func randomOperations(random *rand.Rand) []policy.Operation {
	ops := make([]policy.Operation, 12)
	for i := range ops {
		ops[i] = randomOperation(random)
	}
	return ops
}

// TestDenyAlwaysWins: a Deny for everybody and everything leaves nothing, whatever
// else there is.
func TestDenyAlwaysWins(t *testing.T) {
	random := rand.New(rand.NewPCG(19, 23))
	for range rounds(60) {
		set := randomSet(random)
		name := fmt.Sprintf("%c", 'a'+random.IntN(26))
		set.Policies = append(set.Policies, policy.Policy{
			Name: name, Cluster: chance(random, 2), Subjects: []policy.Subject{{Kind: policy.Everyone}},
			Rules: []policy.Rule{{Name: "all", Effect: policy.Deny, Actions: []string{"*", policy.ActionUnknown}}},
		})
		e := engine(t, set)
		for range 5 {
			who, at := randomCaller(random), randomAt(random)
			for i, v := range outcomeOf(t, e, who, at, randomOperations(random)).Verdicts {
				if v.Effect != policy.Deny {
					t.Fatalf("operation %d is %s beside a Deny for everything: caller %+v, set %+v", i, v.Effect, who, set)
				}
			}
		}
	}
}

// TestAuditChangesNothing: a policy in mode Audit, whatever it says, decides nothing.
func TestAuditChangesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(29, 31))
	for range rounds(60) {
		set, ops := randomSet(random), randomOperations(random)
		added := randomPolicy(random, "added")
		added.Audit = true
		first, second := engine(t, set), engine(t, policy.Set{Policies: append(slices.Clone(set.Policies), added)})
		for range 6 {
			who, at := randomCaller(random), randomAt(random)
			if diff := cmp.Diff(outcomeOf(t, first, who, at, ops), outcomeOf(t, second, who, at, ops)); diff != "" {
				t.Fatalf("policy %+v in mode Audit: caller %+v: -without +with:\n%s", added, who, diff)
			}
		}
	}
}

// TestNamesAndOrderDoNotMatter: other names, in another order, come to the same.
func TestNamesAndOrderDoNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(37, 41))
	plain := func(o outcome) outcome {
		o.Masks = make([]string, len(o.Masks))
		o.Verdicts = slices.Clone(o.Verdicts)
		for i := range o.Verdicts {
			o.Verdicts[i].Rules = make([]string, len(o.Verdicts[i].Rules))
			o.Verdicts[i].Message = "" // which of several is said first goes by name
		}
		return o
	}
	for range rounds(60) {
		set, ops := randomSet(random), randomOperations(random)
		renamed := shuffled(random, set)
		for i := range renamed.Policies {
			p := &renamed.Policies[i]
			p.Name, p.UID = fmt.Sprintf("%c%d", 'a'+random.IntN(26), i), fmt.Sprintf("other-%d", i)
			for j := range p.Rules {
				p.Rules[j].Name = fmt.Sprintf("%c%d", 'a'+random.IntN(26), j)
			}
			for j := range p.Masks {
				p.Masks[j].Name = fmt.Sprintf("%c%d", 'a'+random.IntN(26), j)
			}
		}
		first, second := engine(t, set), engine(t, renamed)
		for range 6 {
			who, at := randomCaller(random), randomAt(random)
			before, after := outcomeOf(t, first, who, at, ops), outcomeOf(t, second, who, at, ops)
			if diff := cmp.Diff(plain(before), plain(after)); diff != "" {
				t.Fatalf("caller %+v, set %+v, then %+v: -before +after:\n%s", who, set, renamed, diff)
			}
		}
	}
}

// TestCacheChangesNothing: what was decided once is decided the same again, and by an
// engine that remembers nothing.
func TestCacheChangesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(43, 47))
	var hits uint64
	for range rounds(60) {
		e := engine(t, randomSet(random))
		ops := randomOperations(random)
		for range 10 {
			who, at := randomCaller(random), randomAt(random)
			s, err := e.Standing(t.Context(), who, at)
			if err != nil {
				t.Fatal(err)
			}
			forgetful := *s.(*standing)
			for _, op := range ops {
				got, err := s.Decide(t.Context(), op, at.Time)
				if err != nil {
					t.Fatal(err)
				}
				fresh := *e
				fresh.cache = newCache()
				forgetful.engine = &fresh
				want, err := forgetful.Decide(t.Context(), op, at.Time)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("caller %+v, operation %+v: -evaluated +cached:\n%s", who, op, diff)
				}
			}
		}
		found, _ := e.CacheStats()
		hits += found
	}
	if hits == 0 && long() {
		t.Error("the sample never met the cache")
	}
}
