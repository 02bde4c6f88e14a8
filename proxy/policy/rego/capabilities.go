// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// allowedBuiltins is all that Rego may call here. Every one of them is a pure
// function of its arguments; a new one needs the same, and a reason.
var allowedBuiltins = []string{
	"and", // intersection of sets
	"array.flatten",
	"count",
	"eq",
	"equal",
	"gt",
	"internal.member_2",
	"min",
	"minus", // difference of sets
	"neq",
	"regex.match",
	"startswith",
	"strings.any_prefix_match",
}

// capabilities are those of the linked OPA, without all built-in functions
// that are not listed and without any host that may be reached.
func capabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	restricted := *all
	restricted.AllowNet = []string{}
	restricted.Builtins = nil
	for _, builtin := range all.Builtins {
		if slices.Contains(allowedBuiltins, builtin.Name) {
			restricted.Builtins = append(restricted.Builtins, builtin)
		}
	}
	return &restricted
}
