// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/policy/rego"
)

// noon is when callers ask.
var noon = time.Date(2026, time.June, 15, 12, 0, 0, 0, time.UTC)

// cachedTurns is how many turns of a cached decision stand for one that is evaluated.
const cachedTurns = 100

// decisions measures an operation that was decided before, one that never was, a Standing
// and the making of an engine.
func decisions(ctx context.Context, s settings) error {
	fmt.Println("| rules | policies about the caller | cached µs | p99 | allocations | cold µs | p99 | CPU | allocations | standing CPU µs | an engine CPU ms |")
	fmt.Println("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, rules := range []int{10, 200, 2000} {
		set := policytest.Sized(rules)
		made, err := measure(40, func(int) error {
			_, err := rego.New(ctx, set, policy.About{})
			return err
		})
		if err != nil {
			return err
		}
		for _, of := range []int{2, len(set.Policies)} {
			if of > len(set.Policies) {
				continue
			}
			if err := decisionRow(ctx, s, rules, of, made); err != nil {
				return err
			}
		}
	}
	return nil
}

func decisionRow(ctx context.Context, s settings, rules, of int, made measured) error {
	set := policytest.Sized(rules)
	engine, err := rego.New(ctx, set, policy.About{})
	if err != nil {
		return err
	}
	who, at := policytest.Member(set, of), policy.Circumstances{Time: noon}
	in, err := engine.Standing(ctx, who, at)
	if err != nil {
		return err
	}
	known := policytest.Allowed(set, 0)
	cached, err := measure(s.turns*cachedTurns, func(int) error { return allowed(ctx, in, known) })
	if err != nil {
		return err
	}
	cold, err := measure(s.turns, func(turn int) error { return allowed(ctx, in, policytest.Allowed(set, 1<<30+turn)) })
	if err != nil {
		return err
	}
	standing, err := measure(s.turns/20, func(int) error {
		_, err := engine.Standing(ctx, who, at)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("| %d | %d | %s | %s | %.0f | %s | %s | %s | %.0f | %s | %.1f |\n", rules, of, micros(cached.p50), micros(cached.p99), cached.allocs,
		micros(cold.p50), micros(cold.p99), micros(cold.cpu), cold.allocs, micros(standing.cpu), made.cpu.Seconds()*1e3)
	return nil
}

func allowed(ctx context.Context, in policy.Standing, op policy.Operation) error {
	decision, err := in.Decide(ctx, op, noon)
	if err == nil && decision.Effect != policy.Allow {
		err = fmt.Errorf("not allowed: %+v: %+v", op, decision)
	}
	return err
}
