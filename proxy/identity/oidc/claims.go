// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// claims are a token's claims by their exact names.
type claims map[string]json.RawMessage

// has says whether a claim is present with a value other than null.
func (c claims) has(name string) bool {
	raw, present := c[name]
	return present && string(raw) != "null"
}

// text is a claim that must be a string, and not an empty one.
func (c claims) text(name string) (string, error) {
	var value string
	if err := json.Unmarshal(c[name], &value); err != nil || value == "" {
		return "", fmt.Errorf("claim is missing or no string: %q", name)
	}
	return value, nil
}

// list is a claim that may be absent, one string or a list of strings.
func (c claims) list(name string) ([]string, error) {
	if !c.has(name) {
		return nil, nil
	}
	var one string
	if err := json.Unmarshal(c[name], &one); err == nil {
		return []string{one}, nil
	}
	// Pointers tell null from an empty string.
	var pointers []*string
	if err := json.Unmarshal(c[name], &pointers); err != nil {
		return nil, fmt.Errorf("claim is neither a string nor a list of strings: %q", name)
	}
	values := make([]string, len(pointers))
	for i, pointer := range pointers {
		if pointer == nil {
			return nil, fmt.Errorf("claim has a null in its list: %q", name)
		}
		values[i] = *pointer
	}
	return values, nil
}

// lastSecond bounds a NumericDate (RFC 7519 section 2): the year 9999.
const lastSecond = 253402300799

// instant is a claim that must be a NumericDate.
func (c claims) instant(name string) (time.Time, error) {
	var seconds float64
	if err := json.Unmarshal(c[name], &seconds); err != nil || seconds <= 0 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("claim is missing or no date: %q", name)
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9)), nil
}

// lifetime checks exp, nbf and iat (RFC 7519 sections 4.1.4 to 4.1.6) and
// returns the instant from which the token is worth nothing.
func (c claims) lifetime(now time.Time, skew time.Duration) (time.Time, error) {
	expiry, err := c.instant("exp")
	if err != nil {
		return time.Time{}, err
	}
	end := expiry.Add(skew)
	if !now.Before(end) {
		return time.Time{}, fmt.Errorf("token has expired: at %s", expiry.UTC().Format(time.RFC3339))
	}
	for _, name := range []string{"nbf", "iat"} {
		if !c.has(name) {
			continue
		}
		begin, err := c.instant(name)
		if err != nil {
			return time.Time{}, err
		}
		if now.Add(skew).Before(begin) {
			return time.Time{}, fmt.Errorf("token is not valid yet: %q is %s: check the clocks", name, begin.UTC().Format(time.RFC3339))
		}
	}
	return end, nil
}

// audience checks that the token is for us (RFC 7519 section 4.1.3), and, where
// it is for others too, that it was issued to us (OpenID Connect Core 1.0
// section 3.1.3.7): one of the others could have obtained it otherwise.
func (c claims) audience(ours []string) error {
	theirs, err := c.list("aud")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(theirs, func(audience string) bool { return slices.Contains(ours, audience) }) {
		return fmt.Errorf("token is for another audience: want one of %q", ours)
	}
	others := slices.ContainsFunc(theirs, func(audience string) bool { return !slices.Contains(ours, audience) })
	if !others {
		return nil
	}
	party, err := c.text("azp")
	if err != nil || !slices.Contains(ours, party) {
		return fmt.Errorf("token is for several audiences and issued to another party: want azp to be one of %q", ours)
	}
	return nil
}

// class refuses tokens of the issuer that are no proof of a caller's presence,
// though issuer and audience may fit.
func (c claims) class() error {
	if c.has("events") {
		return errors.New("token is an event: claim \"events\" is present")
	}
	if c.has("cnf") {
		return errors.New("token is bound to a key that cannot be asked for here: claim \"cnf\" is present")
	}
	if c.has("typ") {
		// Not a registered claim; Keycloak tells its classes of tokens by it.
		switch kind, _ := c.text("typ"); kind {
		case "ID", "Bearer", "JWT":
		default:
			return fmt.Errorf("token is of another class: claim \"typ\" is %q", identity.Shorten(kind))
		}
	}
	return nil
}
