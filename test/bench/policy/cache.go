// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
)

// crowd are callers who work alike.
type crowd struct {
	name string
	// callers are in as many groups as are said, and each group has a policy of its own.
	callers, groups int
	// shapes are how many different operations they know, of which they do the first oftest
	// (a Zipf distribution with the exponent skew); fresh is which part of their operations
	// nobody has done before.
	shapes uint64
	skew   float64
	fresh  float64
	// share of all operations.
	share float64
}

// crowds are a mix: services that do the same all day, people with tools that ask for
// many tables, and agents that try what nobody has.
var crowds = []crowd{
	{name: "services, 60 statements each", callers: 20, groups: 4, shapes: 60, skew: 1.2, share: 0.7},
	{name: "people, 4,000 statements among them", callers: 200, groups: 20, shapes: 4000, skew: 1.1, fresh: 0.02, share: 0.2},
	{name: "agents, every fifth statement new", callers: 50, groups: 10, shapes: 1000, skew: 1.1, fresh: 0.2, share: 0.1},
}

// renewed is after how many operations each caller's standing is asked for again.
const renewed = 2000

// caches measures how often the cache knows the answer, for each crowd by itself and for
// all of them at one proxy.
func caches(ctx context.Context, s settings) error {
	fmt.Printf("%d operations after the start of a proxy, with nothing in the cache.\n\n", s.mixed)
	fmt.Println("| callers | classes of callers | hits | CPU µs for each decision, standings included |")
	fmt.Println("|---|---:|---:|---:|")
	for i := range crowds {
		one := crowds[i]
		one.share = 1
		if err := mix(ctx, one.name, []crowd{one}, s.mixed); err != nil {
			return err
		}
	}
	return mix(ctx, "all of them: 70 %, 20 % and 10 % of the operations", crowds, s.mixed)
}

func mix(ctx context.Context, name string, of []crowd, operations int) error {
	var set policy.Set
	groups := 0
	for c := range of {
		for g := range of[c].groups {
			group := fmt.Sprintf("%d-%d", c, g)
			set.Policies = append(set.Policies, policy.Policy{
				Name: group, Subjects: []policy.Subject{{Kind: policy.Group, Name: group}},
				Rules: []policy.Rule{
					{Name: "use", Effect: policy.Allow, Actions: []string{"select", "insert", "update"}, Resources: []string{"public.*"}},
					{Name: "bounds", Effect: policy.Deny, Actions: []string{"update", "delete"}, Properties: []string{"unboundedWrite"}},
				},
			})
		}
		groups += of[c].groups
	}
	engine, err := rego.New(ctx, set, policy.About{})
	if err != nil {
		return err
	}
	asked := questions(of, operations)
	standings := map[string]policy.Standing{}
	began := processorTime()
	for turn := range asked {
		if turn%renewed == 0 {
			clear(standings)
		}
		a := &asked[turn]
		in := standings[a.who.UserName]
		if in == nil {
			if in, err = engine.Standing(ctx, a.who, policy.Circumstances{Time: noon}); err != nil {
				return err
			}
			standings[a.who.UserName] = in
		}
		if err := allowed(ctx, in, a.op); err != nil {
			return err
		}
	}
	took := (processorTime() - began) / time.Duration(operations)
	hits, misses := engine.CacheStats()
	fmt.Printf("| %s | %d | %.1f %% | %s |\n", name, groups, 100*float64(hits)/float64(hits+misses), micros(took))
	return nil
}

// question is one operation of one caller.
type question struct {
	who identity.Principal
	op  policy.Operation
}

// questions are the operations of a mix, the same each time.
func questions(of []crowd, operations int) []question {
	random := rand.New(rand.NewPCG(1, 2))
	known := make([]*rand.Zipf, len(of))
	for c := range of {
		known[c] = rand.NewZipf(random, of[c].skew, 1, of[c].shapes-1)
	}
	all := make([]question, operations)
	for n := range all {
		c := choose(random, of)
		caller := random.IntN(of[c].callers)
		resource := fmt.Sprintf("public.t%d_%d", c, known[c].Uint64())
		if random.Float64() < of[c].fresh {
			resource = fmt.Sprintf("public.new%d", n)
		}
		all[n] = question{
			identity.Principal{
				Provider: "corp", UserName: fmt.Sprintf("user-%d-%d", c, caller), Kind: identity.Human,
				Groups: []string{fmt.Sprintf("%d-%d", c, caller%of[c].groups)},
			},
			policy.Operation{Accesses: []policy.Access{{Action: "select", Resource: resource}}},
		}
	}
	return all
}

// choose is the place of one crowd, by their shares.
func choose(random *rand.Rand, of []crowd) int {
	left := random.Float64()
	for c := range of {
		if left -= of[c].share; left < 0 {
			return c
		}
	}
	return len(of) - 1
}
