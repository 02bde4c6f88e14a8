// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/policy"
)

// operation is what is asked about, in the words of arguments and of tests.
type operation struct {
	// Accesses are "ACTION" or "ACTION RESOURCE".
	Accesses []string `json:"accesses,omitempty"`
	// Indirect are accesses that the caller does not name, behind a view for instance.
	Indirect   []string `json:"indirect,omitempty"`
	Properties []string `json:"properties,omitempty"`
	// Statement is a statement of the protocol, instead of the others.
	Statement string `json:"statement,omitempty"`
}

func (o *operation) empty() bool {
	return len(o.Accesses)+len(o.Indirect)+len(o.Properties) == 0 && o.Statement == ""
}

// read makes of the words what a protocol would ask the engine. Words that the protocol
// does not have are errors.
func (o *operation) read(c *compiled, deps *Dependencies) ([]Statement, error) {
	if o.Statement != "" {
		if len(o.Accesses)+len(o.Indirect)+len(o.Properties) > 0 {
			return nil, fmt.Errorf("a statement says itself what it does: leave out accesses and properties")
		}
		return readStatement(o.Statement, c.snapshot.Protocol, deps)
	}
	var op policy.Operation
	for i, list := range [][]string{o.Accesses, o.Indirect} {
		for _, text := range list {
			action, resource, _ := strings.Cut(strings.TrimSpace(text), " ")
			if err := known("action", action, c.vocabulary.Actions, policy.ActionUnknown); err != nil {
				return nil, fmt.Errorf("%w: write 'ACTION RESOURCE' in the words of protocol %s, where RESOURCE is %s; what a caller would write goes behind --statement", err, c.snapshot.Protocol, c.vocabulary.Resource)
			}
			op.Accesses = append(op.Accesses, policy.Access{Action: action, Resource: strings.TrimSpace(resource), Indirect: i == 1})
		}
	}
	if len(op.Accesses) == 0 {
		return nil, fmt.Errorf("no access: an operation does at least one thing")
	}
	for _, property := range o.Properties {
		if err := known("property", property, c.vocabulary.Properties, ""); err != nil {
			return nil, err
		}
	}
	op.Properties = slices.Compact(slices.Sorted(slices.Values(o.Properties)))
	slices.SortFunc(op.Accesses, func(a, b policy.Access) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource), compareBool(a.Indirect, b.Indirect))
	})
	op.Accesses = slices.Compact(op.Accesses)
	return []Statement{{Operation: op}}, nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func readStatement(text, protocol string, deps *Dependencies) ([]Statement, error) {
	read := deps.Statements[protocol]
	if read == nil {
		return nil, fmt.Errorf("statements of protocol %s cannot be read here: give accesses, such as %q", protocol, "ACTION RESOURCE")
	}
	statements, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("the statement cannot be read without its target: %w: give its accesses instead", err)
	}
	if len(statements) == 0 {
		return nil, fmt.Errorf("the text holds no statement")
	}
	return statements, nil
}

// known refuses a word that the protocol does not have.
func known(what, word string, terms []policy.Term, also string) error {
	names := make([]string, 0, len(terms))
	for _, term := range terms {
		if term.Name == word {
			return nil
		}
		names = append(names, term.Name)
	}
	if also != "" && word == also {
		return nil
	}
	hint := ""
	if near := compile.Nearest(word, names); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return fmt.Errorf("no %s is named %q%s", what, word, hint)
}

// words is an access as people write it.
func words(a policy.Access) string {
	if a.Resource == "" {
		return a.Action
	}
	return a.Action + " " + a.Resource
}
