// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import "github.com/doorward/doorward/proxy/policy"

// ruleIndex is one policy's rules in the form the library reads: by action,
// then by resource, so that few rules are looked at for an access.
type ruleIndex struct {
	literal map[string]*table
	open    []any
}

func newRuleIndex() *ruleIndex { return &ruleIndex{literal: map[string]*table{}, open: []any{}} }

// add files a rule under every action it names in full, and under open where it
// has action patterns.
func (x *ruleIndex) add(r policy.Rule, id int) {
	properties := make([]any, len(r.Properties))
	for i, property := range r.Properties {
		properties[i] = property
	}
	rule := map[string]any{"id": id, "effect": string(r.Effect), "properties": properties}

	prefixes, patterns := []any{}, []any{}
	for _, action := range r.Actions {
		switch kind, text := shapeOf(action); kind {
		case exact:
			if x.literal[text] == nil {
				x.literal[text] = newTable()
			}
			x.literal[text].add(r.Resources, rule)
		case prefix:
			prefixes = append(prefixes, text)
		case pattern:
			patterns = append(patterns, text)
		}
	}
	if len(prefixes)+len(patterns) > 0 {
		own := newTable()
		own.add(r.Resources, rule)
		x.open = append(x.open, map[string]any{
			"actions": map[string]any{"prefixes": prefixes, "patterns": patterns},
			"table":   own.data(),
		})
	}
}

func (x *ruleIndex) data() map[string]any {
	literal := make(map[string]any, len(x.literal))
	for action, rules := range x.literal {
		literal[action] = rules.data()
	}
	return map[string]any{"literal": literal, "open": x.open}
}

// table finds rules by resource.
type table struct {
	any, prefix, pattern []any
	exact                map[string]any
}

func newTable() *table {
	return &table{any: []any{}, prefix: []any{}, pattern: []any{}, exact: map[string]any{}}
}

// add files a rule under each of its resource globs; under any where it has none.
func (t *table) add(resources []string, rule map[string]any) {
	if len(resources) == 0 {
		t.any = append(t.any, rule)
	}
	for _, resource := range resources {
		switch kind, text := shapeOf(resource); kind {
		case exact:
			list, _ := t.exact[text].([]any)
			t.exact[text] = append(list, rule)
		case prefix:
			t.prefix = append(t.prefix, map[string]any{"prefix": text, "rule": rule})
		case pattern:
			t.pattern = append(t.pattern, map[string]any{"pattern": text, "rule": rule})
		}
	}
}

func (t *table) data() map[string]any {
	return map[string]any{"any": t.any, "exact": t.exact, "prefix": t.prefix, "pattern": t.pattern}
}
