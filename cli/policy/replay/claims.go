// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// A record has the claims that policies looked at when it was written, and the names of
// those that the token lacked. Of others it is not known whether the token had them. So a caller is judged in every case that policies can
// tell apart: the values of a claim matter only by which of the policies' globs they
// match. Where all cases come to the same, the record is enough.

// maxUnknownValues bounds the globs over claims that are not on record: there are as many
// cases as these have subsets.
const maxUnknownValues = 5

// anyRun stands for what a '*' matches: no glob of a policy holds it.
const anyRun = "\x00"

// claimValue is a claim with a value that matches one glob, and those only that match
// whatever it matches.
type claimValue struct{ claim, value string }

// unknownClaims are values of the claims that policies look at and the caller's record
// lacks.
func unknownClaims(set *policy.Set, caller *identity.Principal) []claimValue {
	found := map[claimValue]bool{}
	var look func(subjects []policy.Subject)
	look = func(subjects []policy.Subject) {
		for i := range subjects {
			s := &subjects[i]
			if s.Provider != "" && s.Provider != caller.Provider {
				continue
			}
			if s.Kind == policy.Claim && !onRecord(caller, s.Name) {
				for _, glob := range s.Values {
					found[claimValue{s.Name, strings.ReplaceAll(glob, "*", anyRun)}] = true
				}
			}
			look(s.All)
		}
	}
	for i := range set.Policies {
		look(set.Policies[i].Subjects)
		for j := range set.Policies[i].Masks {
			look(set.Policies[i].Masks[j].Exempt)
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b claimValue) int {
		return strings.Compare(a.claim+anyRun+a.value, b.claim+anyRun+b.value)
	})
}

// onRecord says whether the record tells of a claim, also that the token lacked it.
func onRecord(caller *identity.Principal, name string) bool {
	return slices.Contains(caller.AbsentClaims, name) || slices.ContainsFunc(caller.Claims, func(c identity.Claim) bool { return c.Name == name })
}

// unknownToModules are the claims that modules read and the caller's record lacks. What a
// module makes of values nobody can tell.
func unknownToModules(set *policy.Set, caller *identity.Principal) []claimValue {
	var found []claimValue
	for i := range set.Policies {
		p := &set.Policies[i]
		for _, name := range p.Claims {
			if p.Concerns(caller.Provider) && !onRecord(caller, name) {
				found = append(found, claimValue{claim: name})
			}
		}
	}
	return found
}

// cases are what the policies make of the caller in each case, first that of a token with
// none of the claims, which nobody else used.
func (c *connection) cases(ctx context.Context, caller identity.Principal, at policy.Circumstances, unknown []claimValue) ([]policy.Standing, error) {
	known := caller.Claims
	all := make([]policy.Standing, 0, 1<<len(unknown))
	for chosen := range 1 << len(unknown) {
		values := map[string][]string{}
		for i, v := range unknown {
			if chosen&(1<<i) != 0 {
				values[v.claim] = append(values[v.claim], v.value)
			}
		}
		caller.Claims = slices.Clone(known)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			caller.Claims = append(caller.Claims, identity.Claim{Name: name, Values: slices.Sorted(slices.Values(values[name]))})
		}
		slices.SortFunc(caller.Claims, func(a, b identity.Claim) int { return strings.Compare(a.Name, b.Name) })
		for _, at.SharedCredential = range []bool{false, true}[:c.sharings()] {
			s, err := c.engine.Standing(ctx, caller, at)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// sharings is in how many ways a credential may be shared, as far as policies look at it.
func (c *connection) sharings() int {
	if c.shared {
		return 2
	}
	return 1
}

// claimNames are the names of claims that are not on record.
func claimNames(unknown []claimValue) string {
	var names []string
	for _, v := range unknown {
		if !slices.Contains(names, v.claim) {
			names = append(names, v.claim)
		}
	}
	return strings.Join(names, ", ")
}
