// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// Vocabulary is what a protocol's rules may name, published as data: a pattern
// that matches no action or property of it is an error in the policy.
type Vocabulary struct {
	Actions    []Term
	Properties []Term
	// Resource says the shape of a resource, such as "schema.relation".
	Resource string
	// Field says the shape of a maskable field, such as "schema.relation.column".
	// Empty where the protocol has no fields.
	Field string
	// Content says what detectors look into, such as "what commands say". Empty where
	// the protocol cannot look into what it passes on.
	Content string
	// Row says what limits count, such as "a row of a result". Empty where the
	// protocol cannot limit what a caller gets.
	Row string
	// Role says what a role at the target is. Empty where the protocol has none.
	Role string
}

// Term is one word of a vocabulary with its meaning.
type Term struct {
	Name string
	Doc  string
}
