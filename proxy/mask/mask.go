// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mask replaces sensitive values. It knows methods and value shapes,
// not wires: a protocol finds the fields, the Masker replaces what is in them.
package mask

import (
	"github.com/doorward/doorward/proxy/policy"
)

// Rules are the masks of one caller, compiled: which fields, by which method.
// The zero value masks nothing. Safe for concurrent use.
type Rules struct {
	rules []rule
}

// The methods by name. Redact is what every other name comes to.
const (
	methodNull     = "Null"
	methodKeepLast = "KeepLast"
)

type rule struct {
	name   string
	fields []string
	method policy.Method
}

// Compile makes Rules of the masks that apply to a caller. Where several masks
// name a field, the one that shows least wins: Null, Redact, KeepLast with the
// smaller count.
func Compile(masks []policy.Mask) Rules {
	rules := make([]rule, 0, len(masks))
	for _, m := range masks {
		rules = append(rules, rule{name: m.Policy + "/" + m.Name, fields: m.Fields, method: m.Method})
	}
	return Rules{rules: rules}
}

// Empty says that nothing is masked.
func (r Rules) Empty() bool { return len(r.rules) == 0 }

// Same says whether two Rules are copies of what one Compile returned, so that
// what was worked out of the one holds for the other.
func (r Rules) Same(other Rules) bool {
	return len(r.rules) == len(other.rules) && (len(r.rules) == 0 || &r.rules[0] == &other.rules[0])
}

// Names lists the masks as "policy/mask".
func (r Rules) Names() []string {
	names := make([]string, 0, len(r.rules))
	for _, rule := range r.rules {
		names = append(names, rule.name)
	}
	return names
}

// Field returns the method for a field, and whether it is masked at all.
func (r Rules) Field(field string) (policy.Method, bool) {
	var found policy.Method
	masked := false
	for _, rule := range r.rules {
		for _, glob := range rule.fields {
			if policy.Match(glob, field) && (!masked || stricter(rule.method, found)) {
				found, masked = rule.method, true
			}
		}
	}
	return found, masked
}

// stricter says whether a shows less than b.
func stricter(a, b policy.Method) bool {
	if rank(a.Type) != rank(b.Type) {
		return rank(a.Type) < rank(b.Type)
	}
	return a.KeepLast < b.KeepLast
}

func rank(method string) int {
	switch method {
	case methodNull:
		return 0
	case methodKeepLast:
		return 2
	default: // Redact, and whatever a newer manager may send
		return 1
	}
}
