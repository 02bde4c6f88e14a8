// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// TestCause: what no rule lets through says which policies could have, and why they do
// not, of sessions and of operations alike.
func TestCause(t *testing.T) {
	when := func(p policy.Policy, conditions ...policy.Condition) policy.Policy {
		p.When = conditions
		return p
	}
	hours := policy.Condition{Schedule: &policy.Schedule{TimeZone: "UTC", Windows: []policy.TimeWindow{{Days: []time.Weekday{time.Wednesday}, Start: 0, End: 9 * 60}}}}
	always := policy.Condition{Schedule: &policy.Schedule{TimeZone: "UTC", Windows: []policy.TimeWindow{{Days: []time.Weekday{time.Wednesday}, Start: 0, End: 24 * 60}}}}
	inside := policy.Condition{Sources: []string{"10.0.0.0/8"}}
	cluster := withRule("floor", policy.RequireApproval, "*")
	cluster.Cluster, cluster.Rules[0].Approval = true, &leads
	audit := when(withRule("next", policy.Allow, "*"), hours)
	audit.Audit = true
	agent := identity.Principal{Provider: "corp", UserName: "alice", Kind: identity.Agent, Delegation: []identity.Actor{{Subject: "bot"}}}
	many := make([]policy.Policy, 0, 12)
	for i := range 12 {
		many = append(many, when(withRule(fmt.Sprintf("p%02d", i), policy.Allow, "*"), hours))
	}
	cases := map[string]struct {
		reason   string
		policies []policy.Policy
		who      identity.Principal
		from     string
		want     string
	}{
		"Nothing":   {reason: "no policy is about the caller", want: ""},
		"Schedule":  {reason: "a schedule keeps a policy away", policies: []policy.Policy{when(withRule("day", policy.Allow, "*"), hours)}, from: "10.1.1.1", want: `AccessPolicy "day": spec.when[0] (Schedule) does not hold`},
		"Source":    {reason: "so does an address", policies: []policy.Policy{when(withRule("day", policy.Allow, "*"), always, inside)}, from: "192.0.2.1", want: `AccessPolicy "day": spec.when[1] (SourceCIDRs) does not hold`},
		"NoAddress": {reason: "or that none is known", policies: []policy.Policy{when(withRule("day", policy.Allow, "*"), inside)}, want: `AccessPolicy "day": spec.when[0] (SourceCIDRs) does not hold, as the caller's address is not known`},
		"Both":      {reason: "all conditions that do not hold are named", policies: []policy.Policy{when(withRule("day", policy.Allow, "*"), inside, hours)}, from: "192.0.2.1", want: `AccessPolicy "day": spec.when[0] (SourceCIDRs) does not hold, spec.when[1] (Schedule) does not hold`},
		"Several":   {reason: "and all policies", policies: []policy.Policy{when(withRule("a", policy.Allow, "*"), hours), when(withRego("b", allowReads), hours)}, want: `AccessPolicy "a": spec.when[0] (Schedule) does not hold; AccessPolicy "b": spec.when[0] (Schedule) does not hold`},
		"Agent":     {reason: "who acts for another needs a subject that says so", who: agent, policies: []policy.Policy{withRule("day", policy.Allow, "*")}, want: `AccessPolicy "day": no subject of it names a delegation, and the caller acts for somebody`},
		"Restricts": {reason: "what never lets anything through is no cause", policies: []policy.Policy{when(withRule("no", policy.Deny, "x"), hours), when(cluster, hours)}, want: ""},
		"Shared":    {reason: "nor is a policy for those whose credential is shared", policies: []policy.Policy{when(withRule("day", policy.Allow, "*"), policy.Condition{SharedCredential: true})}, want: ""},
		"Audit":     {reason: "what decides nothing is no cause", policies: []policy.Policy{audit}, want: ""},
		"Module":    {reason: "a module that does not compile lets nobody in", policies: []policy.Policy{withRego("m", "package mine")}, want: `AccessPolicy "m": spec.rego: 1:1: the package must be doorward.policy: data.mine`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.who.UserName == "" {
				tc.who = caller("alice")
			}
			at := policy.Circumstances{Time: noon}
			if tc.from != "" {
				at.Client = netip.MustParseAddr(tc.from)
			}
			s := mustStand(t, engine(t, policy.Set{Policies: tc.policies}), tc.who, at)
			session, err := s.Connect(t.Context())
			if err != nil || session.Effect != policy.Deny || session.Cause != tc.want {
				t.Errorf("%s: session: %v, %+v, want the cause\n%s", tc.reason, err, session, tc.want)
			}
			for range 2 { // the second comes from the cache
				got, err := s.Decide(t.Context(), op("select a"), noon)
				if err != nil || got.Effect != policy.Deny || got.Cause != tc.want {
					t.Errorf("%s: %v, %+v, want the cause\n%s", tc.reason, err, got, tc.want)
				}
			}
		})
	}
	t.Run("Many", func(t *testing.T) {
		got, err := mustStand(t, engine(t, policy.Set{Policies: many}), caller("alice"), policy.Circumstances{Time: noon}).Connect(t.Context())
		if err != nil || strings.Count(got.Cause, "AccessPolicy") != maxNamed || !strings.HasSuffix(got.Cause, "; and 4 more policies") {
			t.Errorf("a cause names %d policies: %v, %q", maxNamed, err, got.Cause)
		}
	})
	t.Run("WouldBe", func(t *testing.T) {
		gone := withRule("gone", policy.Deny, "select")
		gone.Audit = true
		got, err := mustStand(t, engine(t, policy.Set{Policies: []policy.Policy{audit, gone}}), caller("alice"), policy.Circumstances{Time: noon}).Decide(t.Context(), op("update a"), noon)
		if err != nil || got.Cause != "" || got.Audit != nil {
			t.Errorf("what would be the same says nothing: %v, %+v", err, got)
		}
	})
}

// TestCauseIsOfTheCaller: callers of one class, whom the cache does not tell apart, get
// each their own cause.
func TestCauseIsOfTheCaller(t *testing.T) {
	night := withRule("night", policy.Allow, "*")
	night.Subjects = []policy.Subject{{Kind: policy.User, Name: "olga"}}
	night.When = []policy.Condition{{Sources: []string{"10.0.0.0/8"}}}
	e := engine(t, policy.Set{Policies: []policy.Policy{night}})
	at := policy.Circumstances{Time: noon, Client: netip.MustParseAddr("192.0.2.1")}
	for user, want := range map[string]bool{"olga": true, "alice": false} {
		for range 2 {
			got, err := mustStand(t, e, caller(user), at).Decide(t.Context(), op("select a"), noon)
			if err != nil || (got.Cause != "") != want {
				t.Errorf("%s: %v, cause %q, want one: %t", user, err, got.Cause, want)
			}
		}
	}
	if hits, _ := e.CacheStats(); hits == 0 {
		t.Error("nothing came from the cache")
	}
}
