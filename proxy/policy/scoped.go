// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// Scoped is a Standing that tells which policies of its Set it rests on. A Standing
// need not be one.
type Scoped interface {
	// Scope names the policies that bind the caller, and those of them that let through
	// what they allow.
	Scope() (binds, permits []RuleRef)
}
