// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
)

// claimsOf reads the claims of a compact JWS whose issuer is proven. Neither its
// header nor its claims may have one name twice, at any depth (RFC 7515 section 4, RFC
// 7519 section 4): parsers do not agree on which of the two counts.
func claimsOf(token string) (claims, error) {
	header, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	var raw []byte
	for _, part := range []string{header, payload} {
		var err error
		if raw, err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, errors.New("not a signed token")
		}
		if err := identity.UniqueNames(raw); err != nil {
			return nil, err
		}
	}
	return claimsIn(raw)
}

// claimsIn reads an object of claims.
func claimsIn(raw []byte) (claims, error) {
	// A map and not a struct: encoding/json matches a struct's names whatever
	// their case, and "AUD" is not "aud".
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return nil, errors.New("claims are no object")
	}
	return claims(all), nil
}
