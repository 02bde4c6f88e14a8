// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
)

// workingHours is the published example.
const workingHours = "docs/policy/examples/working_hours.rego"

// The modules that are measured: one of two rules, and one that goes on for ever, until a
// bound stops it.
const (
	small = `package doorward.policy

allow contains access if {
	some access in input.operation.accesses
	access.action in {"select", "update"}
	startswith(access.resource, "public.")
}

deny contains "not while on call" if "oncall" in input.caller.groups
`
	endless = `package doorward.policy

few := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]

deny contains "never" if {
	some a in few
	some b in few
	some c in few
	some d in few
	a + b + c + d > 100
}
`
	growing = `package doorward.policy

few := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]

allow contains access if {
	some access in input.operation.accesses
	made := {[a, b, c, d, sprintf("%d %d %d %d", [a, b, c, d])] | some a in few; some b in few; some c in few; some d in few}
	count(made) > 0
}
`
)

// modules measures decisions where a module binds the caller, none of which are cached.
func modules(ctx context.Context, s settings) error {
	example, err := os.ReadFile(workingHours)
	if err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	fmt.Println("| module | comes to | µs | p99 | CPU | allocations | KiB |")
	fmt.Println("|---|---|---:|---:|---:|---:|---:|")
	for _, m := range []struct {
		name, text string
		turns      int
		want       policy.Effect
		// cause is a part of why it is refused: on a busy machine it may be the time.
		cause string
	}{
		{"two rules", small, s.turns / 4, policy.Allow, ""},
		{"the example", string(example), s.turns / 4, policy.Allow, ""},
		{"beyond its steps", endless, s.turns / 400, policy.Deny, "the module "},
		{"beyond its steps, with values that it keeps", growing, s.turns / 400, policy.Deny, "the module "},
	} {
		set := policy.Set{Policies: []policy.Policy{{
			Name: "module", Subjects: []policy.Subject{{Kind: policy.Group, Name: "analysts"}}, Rego: m.text,
		}}}
		engine, err := rego.New(ctx, set, policy.About{Name: "shop-db", Labels: map[string]string{"time-zone": "Europe/Berlin", "tier": "gold"}})
		if err != nil {
			return err
		}
		who := identity.Principal{Provider: "corp", UserName: "alice", Kind: identity.Human, Groups: []string{"analysts"}}
		in, err := engine.Standing(ctx, who, policy.Circumstances{Time: noon, Client: netip.MustParseAddr("10.1.2.3")})
		if err != nil {
			return err
		}
		op := policy.Operation{Accesses: []policy.Access{{Action: "select", Resource: "public.orders"}}}
		cause := ""
		got, err := measure(max(m.turns, 20), func(int) error {
			decision, err := in.Decide(ctx, op, noon)
			if err == nil && (decision.Effect != m.want || !strings.Contains(decision.Cause, m.cause)) {
				err = fmt.Errorf("%s: got %+v, want %s", m.name, decision, m.want)
			}
			cause = decision.Cause
			return err
		})
		if err != nil {
			return err
		}
		comes := string(m.want)
		if cause != "" {
			comes += ": " + cause
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %.0f | %.0f |\n", m.name, comes, micros(got.p50), micros(got.p99), micros(got.cpu), got.allocs, got.bytes/1024)
	}
	return nil
}
