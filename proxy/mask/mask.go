// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mask replaces sensitive values. It knows methods and value shapes,
// not wires: a protocol finds the fields, Rules replace what is in them.
package mask

import (
	"slices"

	"github.com/doorward/doorward/proxy/mask/detect"
	"github.com/doorward/doorward/proxy/policy"
)

// Rules are the masks of one caller, compiled: which fields, by which method.
// The zero value masks nothing. Safe for concurrent use.
type Rules struct {
	*compiled
}

type compiled struct {
	rules []rule
	keyed *keyed
	// set finds content, methods say how each of its rules replaces it. set is
	// nil where no mask has detectors.
	set       *detect.Set
	methods   []policy.Method
	detectors []string
}

type rule struct {
	name   string
	fields []string
	field  Field
}

// Field says what a mask does to a field.
type Field struct {
	// Method says how its values are masked.
	Method policy.Method
	// Derived says that what an answer derives from the field may be shown,
	// masked as a whole; where it is false the operation is refused.
	Derived bool
	// Predicates says that the field may decide which rows come and in which order.
	Predicates bool
}

// Compile makes Rules of the masks that apply to a caller. Where several masks
// name a field or a detector, the strictest of each part wins: the method that
// shows least (Null, Redact, Hash, Digits, KeepLast with the smaller count), a
// refusal over a permission. Without a key, Hash and Digits come to Redact.
func Compile(masks []policy.Mask, key Key) Rules {
	if len(masks) == 0 {
		return Rules{}
	}
	c := &compiled{rules: make([]rule, 0, len(masks)), keyed: newKeyed(key)}
	for _, m := range masks {
		c.rules = append(c.rules, rule{name: m.Policy + "/" + m.Name, fields: m.Fields, field: Field{
			Method: m.Method, Derived: m.Derived == policy.MaskDerived, Predicates: m.Predicates == policy.AllowPredicates,
		}})
	}
	c.compileDetectors(masks)
	return Rules{compiled: c}
}

// Empty says that nothing is masked.
func (r Rules) Empty() bool { return r.compiled == nil }

// Named says whether a mask names fields, beside detectors or without.
func (r Rules) Named() bool {
	return !r.Empty() && slices.ContainsFunc(r.rules, func(rule rule) bool { return len(rule.fields) > 0 })
}

// Same says whether two Rules are copies of what one Compile returned, so that
// what was worked out of the one holds for the other.
func (r Rules) Same(other Rules) bool { return r.compiled == other.compiled }

// Names lists the masks as "policy/mask".
func (r Rules) Names() []string {
	if r.Empty() {
		return []string{}
	}
	names := make([]string, 0, len(r.rules))
	for _, rule := range r.rules {
		names = append(names, rule.name)
	}
	return names
}

// Field returns what is done to a field, and whether it is masked at all.
func (r Rules) Field(name string) (Field, bool) {
	var found Field
	masked := false
	if r.Empty() {
		return found, false
	}
	for _, rule := range r.rules {
		if !rule.names(name) {
			continue
		}
		if !masked {
			found, masked = rule.field, true
			continue
		}
		if stricter(rule.field.Method, found.Method) {
			found.Method = rule.field.Method
		}
		found.Derived = found.Derived && rule.field.Derived
		found.Predicates = found.Predicates && rule.field.Predicates
	}
	return found, masked
}

func (r rule) names(field string) bool {
	for _, glob := range r.fields {
		if policy.Match(glob, field) {
			return true
		}
	}
	return false
}

// Detect is the set of content detectors of the masks, nil where there are none.
func (r Rules) Detect() *detect.Set {
	if r.Empty() {
		return nil
	}
	return r.set
}

// stricter says whether a shows less than b.
func stricter(a, b policy.Method) bool {
	if rank(a.Type) != rank(b.Type) {
		return rank(a.Type) < rank(b.Type)
	}
	return a.Type == policy.KeepLast && a.KeepLast < b.KeepLast
}

func rank(method string) int {
	switch method {
	case policy.Null:
		return 0
	case policy.Hash:
		return 2
	case policy.Digits:
		return 3
	case policy.KeepLast:
		return 4
	default: // Redact, and whatever a newer manager may send
		return 1
	}
}

// Stricter is the one of two methods that shows less.
func Stricter(a, b policy.Method) policy.Method {
	if stricter(b, a) {
		return b
	}
	return a
}

// Alike says whether two Rules mask the same fields and content in the same ways,
// whatever masks they were compiled from.
func (r Rules) Alike(other Rules) bool {
	if r.Same(other) {
		return true
	}
	if r.Empty() || other.Empty() || len(r.rules) != len(other.rules) {
		return false
	}
	for i, rule := range r.rules {
		if rule.field != other.rules[i].field || !slices.Equal(rule.fields, other.rules[i].fields) {
			return false
		}
	}
	return slices.Equal(r.detectors, other.detectors) && slices.Equal(r.methods, other.methods)
}

// Detectors are the names of the content detectors of the masks, each once.
func (r Rules) Detectors() []string {
	if r.Empty() {
		return nil
	}
	return r.detectors
}
