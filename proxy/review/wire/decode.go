// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"

	"sigs.k8s.io/json"
)

// ReadAccess reads a SelfAccessReview that asks. The error names what is wrong.
func ReadAccess(body []byte) (*AccessSpec, error) {
	var question SelfAccessReview
	if err := read(body, &question); err != nil {
		return nil, err
	}
	if err := question.check(AccessKind, question.Status != nil); err != nil {
		return nil, err
	}
	spec := &question.Spec
	switch {
	case len(spec.Accesses) == 0:
		return nil, fmt.Errorf("spec.accesses: an operation does at least one thing: to ask what you may do at all, post a %s to %s", RulesKind, RulesPath)
	case len(spec.Accesses) > MaxAccesses:
		return nil, fmt.Errorf("spec.accesses: want at most %d: %d", MaxAccesses, len(spec.Accesses))
	case len(spec.Properties) > MaxProperties:
		return nil, fmt.Errorf("spec.properties: want at most %d: %d", MaxProperties, len(spec.Properties))
	}
	faults := []error{spec.Connection.check()}
	for i, a := range spec.Accesses {
		if a.Action == "" {
			faults = append(faults, fmt.Errorf("spec.accesses[%d].action: want a word of the protocol", i))
		}
		faults = append(faults, bounded(a.Action, MaxWord, "spec.accesses[%d].action", i), bounded(a.Resource, MaxResource, "spec.accesses[%d].resource", i))
	}
	for i, property := range spec.Properties {
		faults = append(faults, bounded(property, MaxWord, "spec.properties[%d]", i))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return spec, nil
}

// ReadRules reads a SelfRulesReview that asks. The error names what is wrong.
func ReadRules(body []byte) (*RulesSpec, error) {
	var question SelfRulesReview
	if err := read(body, &question); err != nil {
		return nil, err
	}
	if err := errors.Join(question.check(RulesKind, question.Status != nil), question.Spec.Connection.check()); err != nil {
		return nil, err
	}
	return &question.Spec, nil
}

// read decodes strictly: a field that is not known, or there twice, is an error.
func read(body []byte, into any) error {
	if len(body) > MaxBody {
		return fmt.Errorf("want at most %d bytes", MaxBody)
	}
	strict, err := json.UnmarshalStrict(body, into)
	if err != nil {
		return fmt.Errorf("no JSON object of this kind: %w", err)
	}
	return errors.Join(strict...)
}

func (t *TypeMeta) check(kind string, answered bool) error {
	switch {
	case t.APIVersion != Version || t.Kind != kind:
		return fmt.Errorf("want apiVersion %q and kind %q: %.64q and %.64q", Version, kind, t.APIVersion, t.Kind)
	case answered:
		return errors.New("status: it is the answer's, leave it out")
	}
	return nil
}

func (c *Connection) check() error {
	return errors.Join(bounded(c.Namespace, MaxWord, "spec.connection.namespace"), bounded(c.Name, MaxWord, "spec.connection.name"))
}

func bounded(text string, most int, format string, args ...any) error {
	if len(text) <= most {
		return nil
	}
	return fmt.Errorf(format+": want at most %d bytes: %d", append(args, most, len(text))...)
}
