// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// large is 20 policies of 10 rules each, two of which apply to the caller.
func large() policy.Set {
	var set policy.Set
	for i := range 20 {
		p := policy.Policy{Name: fmt.Sprintf("p%02d", i), Subjects: []policy.Subject{{Kind: "Group", Name: fmt.Sprintf("g%d", i)}}}
		for j := range 10 {
			p.Rules = append(p.Rules, policy.Rule{
				Name: fmt.Sprintf("r%d", j), Effect: policy.Allow, Actions: []string{"select", "insert"},
				Resources: []string{fmt.Sprintf("public.table%d", j), fmt.Sprintf("s%d.*", j)},
			})
		}
		set.Policies = append(set.Policies, p)
	}
	return set
}

func BenchmarkDecideHit(b *testing.B) {
	e := engine(b, large())
	who, o := caller("alice", "g3", "g7", "others"), with(op("select public.table3", "select s4.x"), "multiStatement")
	if _, err := e.Decide(b.Context(), who, o); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if decision, err := e.Decide(ctx, who, o); err != nil || decision.Effect != policy.Allow {
				b.Errorf("Decide = %v, %v", decision.Effect, err)
				return
			}
		}
	})
}

func BenchmarkDecideMiss(b *testing.B) {
	e := engine(b, large())
	who := caller("alice", "g3", "g7", "others")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		o := op("select public.table3", fmt.Sprintf("select s4.t%d", i))
		if decision, err := e.Decide(b.Context(), who, o); err != nil || decision.Effect != policy.Allow {
			b.Fatalf("Decide = %v, %v", decision.Effect, err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		engine(b, large())
	}
}
