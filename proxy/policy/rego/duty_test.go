// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// rank orders effects by what they let through.
func rank(effect policy.Effect) int {
	return slices.Index([]policy.Effect{policy.Deny, policy.RequireApproval, policy.Allow}, effect)
}

// TestIndirectNeverWidens: whatever else an operation turns out to reach, it is
// not let through more easily; nor is it where one of its accesses turns out not
// to have been named, as long as another was.
func TestIndirectNeverWidens(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 13))
	narrowed := map[policy.Effect]int{}
	for range 60 {
		e := engine(t, randomSet(random))
		for range 40 {
			who := identity.Principal{
				Provider: pick(random, "corp", "partner", ""), UserName: pick(random, "alice", "bob", "both", "eve"),
				Groups: some(random, 0, "alice", "both", "leads"),
			}
			before := randomOperation(random)
			was, err := decide(t.Context(), e, who, before)
			if err != nil {
				t.Fatal(err)
			}
			if was.Effect == policy.Deny && random.IntN(4) > 0 {
				continue // most are, and few of them tell anything
			}
			after := before
			more := policy.Access{Action: pick(random, "select", "update", "unknown"), Resource: pick(random, "", "a.x", "b.y"), Indirect: true}
			after.Accesses = slices.Insert(slices.Clone(before.Accesses), random.IntN(len(before.Accesses)+1), more)
			is, err := decide(t.Context(), e, who, after)
			if err != nil {
				t.Fatal(err)
			}
			if rank(is.Effect) > rank(was.Effect) {
				t.Fatalf("%+v is %s, and with %+v %s", before, was.Effect, more, is.Effect)
			}
			if rank(is.Effect) < rank(was.Effect) {
				narrowed[is.Effect]++
			}
		}
	}
	if narrowed[policy.Deny] < 10 || narrowed[policy.RequireApproval] < 1 {
		t.Errorf("the sample is one-sided: %v", narrowed)
	}
}

func withDuties(name string, limits *policy.Limits, role string, masks ...policy.Mask) policy.Policy {
	return policy.Policy{
		Name: name, UID: "uid-" + name, Generation: 2, Subjects: []policy.Subject{{Kind: "Group", Name: name}},
		Limits: limits, TargetRole: role, Masks: masks,
	}
}

func TestLimits(t *testing.T) {
	first := &policy.Limits{RowsPerStatement: 10, Windows: []policy.Window{{Seconds: 60, Bytes: 5}}}
	second := &policy.Limits{BytesPerStatement: 7}
	e := engine(t, policy.Set{Policies: []policy.Policy{
		withDuties("b", second, ""), withDuties("none", nil, ""), withDuties("a", first, ""),
	}})
	of := func(name string, l policy.Limits) policy.Limits {
		l.Policy = policy.RuleRef{Policy: name, UID: "uid-" + name, Generation: 2}
		return l
	}
	want := []policy.Limits{of("a", *first), of("b", *second)}
	if diff := cmp.Diff(want, stands(t, e, caller("u", "b", "none", "a")).Limits()); diff != "" {
		t.Errorf("limits of all matching policies hold, sorted: -want +got:\n%s", diff)
	}
	if got := stands(t, e, caller("u", "none")).Limits(); len(got) != 0 {
		t.Errorf("Limits = %v for a caller without any", got)
	}
}

func TestTargetRole(t *testing.T) {
	e := engine(t, policy.Set{Policies: []policy.Policy{
		withDuties("analyst", nil, "reader"), withDuties("auditor", nil, "reader"), withDuties("oncall", nil, "writer"), withDuties("none", nil, ""),
	}})
	cases := map[string]struct {
		reason string
		groups []string
		want   string
		// named are the policies that the error must name; none means no error.
		named []string
	}{
		"None":     {reason: "no policy names a role", groups: []string{"none"}},
		"One":      {reason: "one does", groups: []string{"none", "analyst"}, want: "reader"},
		"Same":     {reason: "two agree", groups: []string{"analyst", "auditor"}, want: "reader"},
		"Conflict": {reason: "nobody can tell which", groups: []string{"none", "auditor", "oncall"}, named: []string{"auditor", "oncall"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := stands(t, e, caller("u", tc.groups...)).TargetRole()
			var conflict *policy.ConflictError
			if got != tc.want || errors.As(err, &conflict) != (tc.named != nil) {
				t.Fatalf("%s: TargetRole = %q, %v", tc.reason, got, err)
			}
			for _, policyName := range tc.named {
				if !strings.Contains(err.Error(), `"`+policyName+`"`) {
					t.Errorf("%s: %v does not name %q", tc.reason, err, policyName)
				}
			}
		})
	}
}

// TestDutiesRefused: checklist 40: what this engine does not know may be a
// restriction, so it is an error and never left out.
func TestDutiesRefused(t *testing.T) {
	mask := func(m policy.Mask) policy.Policy {
		m.Name = "m"
		return withDuties("p", nil, "", m)
	}
	null := policy.Method{Type: policy.Null}
	cases := map[string]struct {
		reason string
		policy policy.Policy
		text   string // empty for accepted
	}{
		"Detect":         {reason: "a mask of content needs no fields", policy: mask(policy.Mask{Detect: policy.Detectors(), Method: null})},
		"Both":           {reason: "and may have them", policy: mask(policy.Mask{Detect: []string{"Email"}, Fields: []string{"*"}, Method: null})},
		"Hash":           {reason: "a keyed method", policy: mask(policy.Mask{Fields: []string{"*"}, Method: policy.Method{Type: policy.Hash}})},
		"Digits":         {reason: "a keyed method", policy: mask(policy.Mask{Fields: []string{"*"}, Method: policy.Method{Type: policy.Digits}})},
		"Detector":       {reason: "an unknown detector would find nothing", policy: mask(policy.Mask{Detect: []string{"EMail"}, Method: null}), text: `"EMail"`},
		"NegativeRows":   {reason: "a bound below zero", policy: withDuties("p", &policy.Limits{RowsPerStatement: -1}, ""), text: "limits"},
		"NegativeBytes":  {reason: "a bound below zero", policy: withDuties("p", &policy.Limits{BytesPerStatement: -1}, ""), text: "limits"},
		"NoSeconds":      {reason: "a window without length bounds nothing", policy: withDuties("p", &policy.Limits{Windows: []policy.Window{{Rows: 1}}}, ""), text: "window"},
		"NegativeWindow": {reason: "a bound below zero", policy: withDuties("p", &policy.Limits{Windows: []policy.Window{{Seconds: 1, Bytes: -1}}}, ""), text: "window"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(t.Context(), policy.Set{Policies: []policy.Policy{tc.policy}}, policy.About{})
			switch {
			case tc.text == "" && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case tc.text != "" && (err == nil || !strings.Contains(err.Error(), tc.text) || !strings.Contains(err.Error(), `"p"`)):
				t.Errorf("%s: got %v, want an error that names the policy and %s", tc.reason, err, tc.text)
			}
		})
	}
}
