// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import "github.com/doorward/doorward/proxy/policy"

var _ policy.Scoped = (*standing)(nil)

// Scope implements policy.Scoped.
func (s *standing) Scope() (binds, permits []policy.RuleRef) {
	refs := func(numbers []int) []policy.RuleRef {
		all := make([]policy.RuleRef, 0, len(numbers))
		for _, number := range numbers {
			all = append(all, refOf(&s.engine.compiled.set.Policies[number]))
		}
		return all
	}
	return refs(s.enforced.bound), refs(s.enforced.granting)
}
