// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/identity"
)

// maxValues bounds the values of a claim that is kept of a token. A value is bounded like
// a name, and all of them by the size of a token.
const maxValues = 256

// keep keeps the claims that policies look at, and the names of those that the token
// lacks. One that cannot be read refuses the token: left out, it might be the one that a
// Deny rule names.
func (c claims) keep(names []string, p *identity.Principal) error {
	for _, name := range names {
		if !c.has(name) {
			p.AbsentClaims = append(p.AbsentClaims, name)
			continue
		}
		values, err := valuesOf(c[name])
		if err != nil {
			return fmt.Errorf("claim %q, which policies look at: %w", name, err)
		}
		p.Claims = append(p.Claims, identity.Claim{Name: name, Values: values})
	}
	return nil
}

// valuesOf reads a string, a number, a boolean or a list of these: strings as they
// are, all others as the token has them. They are sorted, each once.
func valuesOf(raw json.RawMessage) ([]string, error) {
	raw = bytes.TrimSpace(raw)
	elements := []json.RawMessage{raw}
	if len(raw) > 0 && raw[0] == '[' {
		elements = nil
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, errors.New("no JSON")
		}
	}
	if len(elements) > maxValues {
		return nil, fmt.Errorf("too many values: %d, at most %d are allowed", len(elements), maxValues)
	}
	values := make([]string, 0, len(elements))
	for _, element := range elements {
		value, err := valueOf(bytes.TrimSpace(element))
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

func valueOf(raw []byte) (string, error) {
	value := string(raw)
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || value == "null":
		return "", errors.New("want a string, a number, a boolean or a list of these")
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &value); err != nil {
			return "", errors.New("no JSON")
		}
	}
	return value, checkKept(value)
}

// checkKept: what is on record must be what policies looked at.
func checkKept(value string) error {
	if len(value) > maxName {
		return fmt.Errorf("value is too long: %d bytes, at most %d are allowed", len(value), maxName)
	}
	if checkPrintable(value) != nil {
		return fmt.Errorf("value has a character that does not print: %q", identity.Shorten(value))
	}
	return nil
}

// validateClaims is about the names of the claims that are kept.
func (c *Config) validateClaims() error {
	if len(c.Claims) > identity.MaxClaims {
		return fmt.Errorf("invalid claims of policies: want at most %d: %d", identity.MaxClaims, len(c.Claims))
	}
	if slices.Contains(c.Claims, "") {
		return errors.New("invalid claims of policies: one has no name")
	}
	return nil
}
