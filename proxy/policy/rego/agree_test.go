// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/policy"
)

// long says whether random tests run in full, as `make conformance-policy` has it; a
// twentieth of it is for every day, and less under the race detector, which is about
// goroutines and not about cases: `make test` runs them without it as well.
func long() bool { return os.Getenv("DOORWARD_LONG") == "1" }

// rounds is how many random sets a test tries, of n in full.
func rounds(n int) int {
	switch {
	case long():
		return n
	case raceEnabled:
		return max(n/100, 1)
	default:
		return max(n/20, 3)
	}
}

func shuffled(random *rand.Rand, set policy.Set) policy.Set {
	policies := slices.Clone(set.Policies)
	random.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
	for i := range policies {
		p := &policies[i]
		p.Rules, p.Masks, p.Subjects = slices.Clone(p.Rules), slices.Clone(p.Masks), slices.Clone(p.Subjects)
		random.Shuffle(len(p.Rules), func(i, j int) { p.Rules[i], p.Rules[j] = p.Rules[j], p.Rules[i] })
		random.Shuffle(len(p.Masks), func(i, j int) { p.Masks[i], p.Masks[j] = p.Masks[j], p.Masks[i] })
		random.Shuffle(len(p.Subjects), func(i, j int) { p.Subjects[i], p.Subjects[j] = p.Subjects[j], p.Subjects[i] })
	}
	return policy.Set{Policies: policies}
}

// read is a Decision in the oracle's words.
func read(d policy.Decision) verdict {
	v := verdict{Effect: d.Effect, Access: d.Access, Message: d.Message}
	for _, r := range d.Rules {
		v.Rules = append(v.Rules, nameOf(policy.Policy{Name: r.Policy, Cluster: r.Cluster}, r.Rule))
	}
	for _, terms := range d.Approval {
		v.Minimums = append(v.Minimums, terms.Minimum)
	}
	return v
}

func maskNames(masks []policy.Mask) []string {
	var names []string
	for _, m := range masks {
		names = append(names, m.Policy+"/"+m.Name)
	}
	return names
}

// TestOracle compares the engine with the oracle: what is decided, and would be if
// policies in mode Audit were enforced; whether there is a session, and its masks,
// limits and role. With DOORWARD_LONG=1 it compares 100,000 decisions.
func TestOracle(t *testing.T) {
	const callers, operations = 20, 10
	random := rand.New(rand.NewPCG(3, 5))
	seen := map[string]int{}
	cases := 0
	for range rounds(500) {
		set := randomSet(random)
		e := engine(t, shuffled(random, set))
		for range callers {
			o := oracle{set: set, caller: randomCaller(random), at: randomAt(random)}
			s, err := e.Standing(t.Context(), o.caller, o.at)
			if err != nil {
				t.Fatal(err)
			}
			compareDuties(t, o, s, seen)
			for range operations {
				compareDecisions(t, o, s, randomOperation(random), seen)
				cases++
			}
			if t.Failed() {
				t.Fatalf("caller %+v at %+v, set %+v", o.caller, o.at, set)
			}
		}
	}
	t.Logf("%d decisions agree: %v", cases, seen)
	for _, kind := range []string{
		"Allow", "RequireApproval", "Deny", "audit Allow", "audit RequireApproval", "audit Deny",
		"session", "no session", "masks", "audit masks", "limits", "role", "conflict",
	} {
		if seen[kind] < cases/2000 {
			t.Errorf("the sample is one-sided, too few of %q: %v", kind, seen)
		}
	}
}

func compareDecisions(t *testing.T, o oracle, s policy.Standing, op policy.Operation, seen map[string]int) {
	t.Helper()
	got, err := s.Decide(t.Context(), op, o.at.Time)
	if err != nil {
		t.Fatal(err)
	}
	want := o.decide(op, false)
	if diff := cmp.Diff(want, read(got)); diff != "" {
		t.Errorf("%+v: -oracle +engine:\n%s", op, diff)
	}
	seen[string(got.Effect)]++
	would := o.decide(op, true)
	if would.Effect == want.Effect && slices.Equal(would.Minimums, want.Minimums) {
		if got.Audit != nil {
			t.Errorf("%+v: Audit = %+v, want none where it would come to the same", op, got.Audit)
		}
		return
	}
	if got.Audit == nil {
		t.Fatalf("%+v: no Audit, want %+v", op, would)
	}
	if diff := cmp.Diff(would, read(*got.Audit)); diff != "" {
		t.Errorf("%+v: Audit: -oracle +engine:\n%s", op, diff)
	}
	seen["audit "+string(got.Audit.Effect)]++
}

func compareDuties(t *testing.T, o oracle, s policy.Standing, seen map[string]int) {
	t.Helper()
	connect, err := s.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, would := o.duties(false), o.duties(true)
	got := duties{Connect: read(connect).Rules, Masks: maskNames(s.Masks())}
	for _, l := range s.Limits() {
		got.Limits = append(got.Limits, nameOf(policy.Policy{Name: l.Policy.Policy, Cluster: l.Policy.Cluster}, ""))
	}
	role, err := s.TargetRole()
	var conflict *policy.ConflictError
	switch {
	case errors.As(err, &conflict):
		for _, r := range conflict.Roles {
			got.Roles = append(got.Roles, r.Role)
		}
		slices.Sort(got.Roles)
		seen["conflict"]++
	case role != "":
		got.Roles = []string{role}
		seen["role"]++
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("duties: -oracle +engine:\n%s", diff)
	}
	if allowed := connect.Effect == policy.Allow; allowed != (len(want.Connect) > 0) {
		t.Errorf("Connect = %s, want a session just where there is a policy to rest it on: %q", connect.Effect, want.Connect)
	}
	wouldMask := would.Masks
	if slices.Equal(wouldMask, want.Masks) {
		wouldMask = nil
	}
	if diff := cmp.Diff(wouldMask, maskNames(s.AuditMasks()), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("AuditMasks: -oracle +engine:\n%s", diff)
	}
	if (connect.Audit != nil) != ((len(would.Connect) > 0) != (len(want.Connect) > 0)) {
		t.Errorf("Connect's Audit = %+v, want one just where the effect would change", connect.Audit)
	}
	for kind, is := range map[string]bool{
		"session": len(want.Connect) > 0, "no session": len(want.Connect) == 0,
		"masks": len(want.Masks) > 0, "audit masks": wouldMask != nil, "limits": len(want.Limits) > 0,
	} {
		if is {
			seen[kind]++
		}
	}
}
