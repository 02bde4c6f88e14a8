// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/policy"
)

// The bounds of an answer, those of the API for rules where there are such.
const (
	maxAnswers   = 32
	maxMessage   = 512
	maxApprovers = 32
	maxMinimum   = 10
	minTimeout   = 10
	maxTimeout   = 86400
)

// readAnswer reads what a module says about the accesses of an operation, as
// schema/output.json describes it. Anything else is an error.
func readAnswer(p *policy.Policy, answer ast.Object, accesses *ast.Array) ([]custom, error) {
	r := reader{policy: p, positions: ast.NewObject(), unknown: map[int]bool{}}
	for i := range accesses.Len() {
		access := accesses.Elem(i)
		r.positions.Insert(access, ast.InternedTerm(i))
		if object, ok := access.Value.(ast.Object); ok {
			r.unknown[i] = object.Get(ast.InternedTerm("action")).Equal(ast.StringTerm(policy.ActionUnknown))
		}
	}
	for _, word := range moduleWords {
		term := answer.Get(ast.StringTerm(word))
		if term == nil {
			continue
		}
		set, ok := term.Value.(ast.Set)
		if !ok {
			return nil, fmt.Errorf("%s is no set: %s", word, ast.ValueName(term.Value))
		}
		if limit := max(maxAnswers, accesses.Len()); set.Len() > limit || (word != wordAllow && set.Len() > maxAnswers) {
			return nil, fmt.Errorf("%s holds too much: %d", word, set.Len())
		}
		read := map[string]func(*ast.Term) error{wordAllow: r.allow, wordDeny: r.deny, wordApprove: r.approve}[word]
		if err := set.Iter(read); err != nil {
			return nil, fmt.Errorf("%s: %w", word, err)
		}
	}
	return r.answers, nil
}

// reader gathers one module's answers.
type reader struct {
	policy *policy.Policy
	// positions are those of the operation's accesses.
	positions ast.Object
	// unknown are the positions of what the protocol could not read.
	unknown map[int]bool
	answers []custom
}

func (r *reader) position(access *ast.Term) (int, error) {
	found := r.positions.Get(access)
	if found == nil {
		return 0, errors.New("an element is none of input.operation.accesses, with action, resource and indirect as they stand there")
	}
	return numberOf(found)
}

func (r *reader) allow(element *ast.Term) error {
	position, err := r.position(element)
	if err != nil {
		return err
	}
	// What the protocol could not read needs a rule with that very word.
	if !r.unknown[position] {
		r.answers = append(r.answers, custom{effect: policy.Allow, position: position, covers: true, rule: customOf(r.policy)})
	}
	return nil
}

func (r *reader) deny(element *ast.Term) error {
	message, err := messageOf(element)
	if err != nil {
		return err
	}
	rule := customOf(r.policy)
	rule.message = message
	r.answers = append(r.answers, custom{effect: policy.Deny, rule: rule})
	return nil
}

func (r *reader) approve(element *ast.Term) error {
	object, ok := element.Value.(ast.Object)
	if !ok {
		return fmt.Errorf("an element is no object: %s", ast.ValueName(element.Value))
	}
	if err := onlyKeys(object, "approvers", "minimum", "timeoutSeconds", "message", "access"); err != nil {
		return err
	}
	answer := custom{effect: policy.RequireApproval, rule: customOf(r.policy)}
	if access := object.Get(ast.InternedTerm("access")); access != nil {
		var err error
		if answer.position, err = r.position(access); err != nil {
			return err
		}
		answer.covers = !r.unknown[answer.position]
	}
	if message := object.Get(ast.InternedTerm("message")); message != nil {
		var err error
		if answer.rule.message, err = messageOf(message); err != nil {
			return err
		}
	}
	terms, err := termsOf(object)
	if err != nil {
		return err
	}
	answer.rule.terms = normalTerms(terms)
	r.answers = append(r.answers, answer)
	return nil
}

func termsOf(object ast.Object) (*policy.ApprovalTerms, error) {
	list, ok := valueOf(object, "approvers").(*ast.Array)
	if !ok || list.Len() < 1 || list.Len() > maxApprovers {
		return nil, fmt.Errorf("approvers must be a list of 1 to %d", maxApprovers)
	}
	terms := &policy.ApprovalTerms{}
	for i := range list.Len() {
		approver, ok := list.Elem(i).Value.(ast.Object)
		if !ok {
			return nil, errors.New("an approver is no object")
		}
		if err := onlyKeys(approver, "kind", "name"); err != nil {
			return nil, err
		}
		kind, _ := valueOf(approver, "kind").(ast.String)
		name, _ := valueOf(approver, "name").(ast.String)
		if (kind != policy.User && kind != policy.Group) || name == "" || utf8.RuneCountInString(string(name)) > maxMessage || !utf8.ValidString(string(name)) {
			return nil, fmt.Errorf("an approver has the kind %s or %s, and a name of at most %d characters", policy.User, policy.Group, maxMessage)
		}
		terms.Approvers = append(terms.Approvers, policy.Subject{Kind: string(kind), Name: string(name)})
	}
	var err error
	if terms.Minimum, err = between(object, "minimum", 1, maxMinimum); err != nil {
		return nil, err
	}
	terms.TimeoutSeconds, err = between(object, "timeoutSeconds", minTimeout, maxTimeout)
	return terms, err
}

func valueOf(object ast.Object, key string) ast.Value {
	term := object.Get(ast.StringTerm(key))
	if term == nil {
		return nil
	}
	return term.Value
}

func between(object ast.Object, key string, lowest, highest int) (int32, error) {
	number, ok := valueOf(object, key).(ast.Number)
	value, whole := number.Int()
	if !ok || !whole || value < lowest || value > highest {
		return 0, fmt.Errorf("%s must be a whole number from %d to %d", key, lowest, highest)
	}
	return int32(value), nil //nolint:gosec // Within bounds.
}

// onlyKeys refuses keys that mean nothing: a misspelt one must not be taken for absent.
func onlyKeys(object ast.Object, known ...string) error {
	for _, key := range object.Keys() {
		text, ok := key.Value.(ast.String)
		if !ok || !slices.Contains(known, string(text)) {
			return fmt.Errorf("unknown key, want only %s: %.80s", strings.Join(known, ", "), key)
		}
	}
	return nil
}

func messageOf(term *ast.Term) (string, error) {
	text, ok := term.Value.(ast.String)
	if !ok || text == "" || utf8.RuneCountInString(string(text)) > maxMessage || !utf8.ValidString(string(text)) ||
		strings.ContainsFunc(string(text), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", fmt.Errorf("a message is a text of 1 to %d characters, none of them a control character", maxMessage)
	}
	return string(text), nil
}
