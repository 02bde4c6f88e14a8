// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// TestModulesAreSharedSafely: sessions of one caller, and callers of one engine, ask a
// module at the same time.
func TestModulesAreSharedSafely(t *testing.T) {
	set := policy.Set{Policies: []policy.Policy{withRego("m", mustRead(t, filepath.Join(examples, "working_hours.rego")))}}
	made, err := New(t.Context(), set, policy.About{Name: "shop-db", Labels: map[string]string{"time-zone": "Europe/Berlin", "tier": "gold"}})
	if err != nil {
		t.Fatal(err)
	}
	who := caller("alice", "analysts", "oncall")
	who.Kind = "Human"
	s, err := made.Standing(t.Context(), who, policy.Circumstances{Time: noon, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				got, err := s.Decide(t.Context(), op("select public.events", "select public.orders", "update public.orders"), noon)
				if err != nil || got.Effect != policy.Allow {
					t.Errorf("got %+v, %v, want Allow", got, err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkModule(b *testing.B) {
	text := `package doorward.policy

allow contains access if {
	some access in input.operation.accesses
	access.action in {"select", "update"}
	startswith(access.resource, "public.")
}

deny contains "not while on call" if "oncall" in input.caller.groups
`
	for name, set := range map[string]policy.Set{
		"module":  {Policies: []policy.Policy{withRego("m", text)}},
		"library": {Policies: []policy.Policy{withRule("r", policy.Allow, "select")}},
	} {
		b.Run(name, func(b *testing.B) {
			e := engine(b, set)
			s := stands(b, e, caller("alice", "analysts")).(*standing)
			o := op("select public.orders")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.decideCustom(b.Context(), s.enforced, o, &asked{standing: s, op: o, now: noon}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckModule(b *testing.B) {
	for b.Loop() {
		if _, err := CheckModule(b.Context(), allowReads); err != nil {
			b.Fatal(err)
		}
	}
}
