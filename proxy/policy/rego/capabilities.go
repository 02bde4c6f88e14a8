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
	"count",
	"eq",
	"equal",
	"gt",
	"gte",
	"lt",
	"lte",
	"internal.member_2",
	"min",
	"minus", // difference of sets
	"mul",
	"neq",
	"net.cidr_contains",
	"object.subset", // of sets
	"or",            // union of sets
	"plus",
	"regex.match",
	"strings.any_prefix_match",
	"time.clock",   // of a given instant
	"time.weekday", // of a given instant
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
