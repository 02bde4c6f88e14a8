// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// probes asks the engine which of many subjects and conditions are about one caller. Each
// probe is a policy of its own in one Set, so that the engine answers for all at once, and
// nothing of what it knows is written down here again.
type probes struct{ policies []policy.Policy }

// answer is what the engine says of a probe: whether such a policy binds the caller, and
// whether it lets through what it allows.
type answer struct{ binds, permits bool }

// add asks about subjects under conditions, and returns the answer's place.
func (p *probes) add(subjects []policy.Subject, when []policy.Condition) int {
	number := len(p.policies)
	p.policies = append(p.policies, policy.Policy{
		Name: strconv.Itoa(number), Subjects: subjects, When: when,
		// What binds is told by limits, and what permits by rules that allow.
		Limits: &policy.Limits{SessionSeconds: 1},
		Rules:  []policy.Rule{{Name: "probe", Effect: policy.Allow, Actions: []string{"*"}}},
	})
	return number
}

// ask returns the answers in the order in which they were asked for.
func (p *probes) ask(ctx context.Context, engine policy.NewEngine, caller identity.Principal, at policy.Circumstances) ([]answer, error) {
	answers := make([]answer, len(p.policies))
	if len(answers) == 0 {
		return answers, nil
	}
	asked, err := engine(ctx, policy.Set{Policies: p.policies}, policy.About{})
	if err != nil {
		return nil, fmt.Errorf("cannot find out why policies apply: %w", err)
	}
	standing, err := asked.Standing(ctx, caller, at)
	if err != nil {
		return nil, fmt.Errorf("cannot find out why policies apply: %w", err)
	}
	decision, err := standing.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot find out why policies apply: %w", err)
	}
	for _, limits := range standing.Limits() {
		if number, err := strconv.Atoi(limits.Policy.Policy); err == nil && number < len(answers) {
			answers[number].binds = true
		}
	}
	for _, ref := range decision.Rules {
		if number, err := strconv.Atoi(ref.Policy); err == nil && number < len(answers) {
			answers[number].permits = true
		}
	}
	return answers, nil
}
