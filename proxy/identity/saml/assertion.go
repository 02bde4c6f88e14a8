// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// Assertion is what an identity provider has proven of a user. It is good for one login:
// its ID is to be remembered until NotOnOrAfter, and refused until then.
type Assertion struct {
	// ID is unique at the Issuer.
	ID string
	// Issuer is the identity provider's entity ID, and Audience the service provider's.
	Issuer, Audience string
	// NameID is the user; NameIDFormat is empty where the assertion names none.
	NameID, NameIDFormat string
	// AuthnInstant is when the user logged in.
	AuthnInstant time.Time
	// NotOnOrAfter is from when on the assertion is refused, clock skew included.
	NotOnOrAfter time.Time
	// SessionNotOnOrAfter is when the identity provider wants the user logged out, zero
	// where it does not say.
	SessionNotOnOrAfter time.Time
	// Attributes are by name, in the order of the assertion.
	Attributes []Attribute
}

// Attribute is an attribute with its values, as they were written.
type Attribute struct {
	Name   string
	Values []string

	format string
}

// reserved are the claims that an attribute must not be taken for: those that say who
// made a proof, for whom and how long, who acts for whom, and of what class it is
// (https://www.iana.org/assignments/jwt).
var reserved = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", // RFC 7519
	"act", "may_act", "scope", "client_id", // RFC 8693
	"azp", "nonce", "auth_time", "acr", "amr", "at_hash", "c_hash", "sub_jwk", "sid", // OpenID Connect
	"cnf", "events", "toe", "txn", "typ",
}

// Claims are the assertion as a JSON object: iss is the Issuer, sub the NameID, aud the
// service provider, auth_time when the user logged in, and each attribute is a string, or
// a list of strings where it has not exactly one value. There is no iat, nbf or exp,
// which are the credential's own that is issued.
func (a Assertion) Claims() (json.RawMessage, error) {
	claims := map[string]any{
		"iss": a.Issuer, "sub": a.NameID, "aud": a.Audience, "auth_time": a.AuthnInstant.Unix(),
	}
	for _, attribute := range a.Attributes {
		if err := checkName(attribute.Name); err != nil {
			return nil, err
		}
		if _, twice := claims[attribute.Name]; twice {
			return nil, fmt.Errorf("%w: there are two attributes of one name: %q", ErrRejected, identity.Shorten(attribute.Name))
		}
		switch {
		case len(attribute.Values) == 1:
			claims[attribute.Name] = attribute.Values[0]
		case len(attribute.Values) == 0:
			claims[attribute.Name] = []string{}
		default:
			claims[attribute.Name] = attribute.Values
		}
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the claims of an assertion: %w", err)
	}
	return raw, nil
}

// checkName refuses an attribute that would be taken for what the assertion itself says.
func checkName(name string) error {
	if slices.Contains(reserved, name) {
		return fmt.Errorf("%w: an attribute has the name of a registered claim: %q: let the identity provider send it by another name", ErrRejected, name)
	}
	return nil
}
