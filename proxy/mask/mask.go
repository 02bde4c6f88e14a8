// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mask replaces sensitive values. It knows methods and value shapes,
// not wires: a protocol finds the fields, the Masker replaces what is in them.
package mask

import "github.com/doorward/doorward/proxy/policy"

// Rules are the masks of one caller, compiled: which fields, by which method.
// The zero value masks nothing. Safe for concurrent use.
type Rules struct {
	rules []rule
}

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

func stricter(a, b policy.Method) bool {
	if rank(a.Type) != rank(b.Type) {
		return rank(a.Type) < rank(b.Type)
	}
	return a.KeepLast < b.KeepLast
}

func rank(method string) int {
	switch method {
	case "Null":
		return 0
	case "KeepLast":
		return 2
	default: // Redact, and whatever a newer manager may send
		return 1
	}
}

// redacted is what stands for a whole value.
const redacted = "[masked]"

// Text masks a character value. It returns nil where the value becomes NULL.
func Text(method policy.Method, value []byte) []byte {
	switch method.Type {
	case "Null":
		return nil
	case "KeepLast":
		return keepLast(value, int(method.KeepLast))
	default:
		return []byte(redacted)
	}
}

// keepLast stars all but the last n characters. A value of no more than twice
// n characters is redacted whole, since what is kept would give it away.
func keepLast(value []byte, n int) []byte {
	runes := []rune(string(value))
	if n <= 0 || len(runes) <= 2*n {
		return []byte(redacted)
	}
	for i := range len(runes) - n {
		runes[i] = '*'
	}
	return []byte(string(runes))
}
