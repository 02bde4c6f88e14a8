// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
)

// processor reports the processor time of each turn: other than the time that passes it
// hardly depends on what else the machine does.
func processor(b *testing.B) {
	b.Helper()
	b.ReportAllocs()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-begin)/float64(b.N), "cpu-ns/op") })
}

// BenchmarkPolicy measures with 10, 200 and 2,000 rules, of which two policies or all are
// about the caller: an operation decided before, one that never was, and a Standing.
func BenchmarkPolicy(b *testing.B) {
	for _, rules := range []int{10, 200, 2000} {
		set := policytest.Sized(rules)
		e := engine(b, set)
		for _, of := range []int{2, len(set.Policies)} {
			if of > len(set.Policies) {
				continue
			}
			name := fmt.Sprintf("rules=%d/policies=%d/", rules, of)
			who := policytest.Member(set, of)
			s := stands(b, e, who)
			b.Run(name+"cached", func(b *testing.B) { benchmarkCached(b, s, policytest.Allowed(set, 0)) })
			b.Run(name+"cold", func(b *testing.B) { benchmarkCold(b, s, set) })
			b.Run(name+"standing", func(b *testing.B) {
				processor(b)
				for b.Loop() {
					if s := stands(b, e, who); s == nil {
						b.Fatal("no standing")
					}
				}
			})
		}
	}
}

func benchmarkCached(b *testing.B, s policy.Standing, o policy.Operation) {
	b.Helper()
	ctx := b.Context()
	processor(b)
	for b.Loop() {
		if decision, err := s.Decide(ctx, o, noon); err != nil || decision.Effect != policy.Allow {
			b.Fatalf("Decide = %v, %v", decision.Effect, err)
		}
	}
}

// fresh numbers resources that no operation has named before.
var fresh int

func benchmarkCold(b *testing.B, s policy.Standing, set policy.Set) {
	b.Helper()
	ctx := b.Context()
	processor(b)
	for b.Loop() {
		fresh++
		if decision, err := s.Decide(ctx, policytest.Allowed(set, fresh), noon); err != nil || decision.Effect != policy.Allow {
			b.Fatalf("Decide = %v, %v", decision.Effect, err)
		}
	}
}

// BenchmarkCachedParallel is what several connections do at the same time.
func BenchmarkCachedParallel(b *testing.B) {
	set := policytest.Sized(200)
	s := stands(b, engine(b, set), policytest.Member(set, 2))
	o, ctx := op("select public.table19_3", "select s19.x"), b.Context()
	processor(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if decision, err := s.Decide(ctx, o, noon); err != nil || decision.Effect != policy.Allow {
				b.Errorf("Decide = %v, %v", decision.Effect, err)
				return
			}
		}
	})
}

// BenchmarkNew is what a change of a Connection's policies costs its proxy.
func BenchmarkNew(b *testing.B) {
	for _, rules := range []int{10, 200, 2000} {
		set := policytest.Sized(rules)
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			processor(b)
			for b.Loop() {
				engine(b, set)
			}
		})
	}
}
