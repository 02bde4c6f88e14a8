// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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
		if err := uniqueNames(raw); err != nil {
			return nil, err
		}
	}
	// A map and not a struct: encoding/json matches a struct's names whatever
	// their case, and "AUD" is not "aud".
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return nil, errors.New("claims are no object")
	}
	return claims(all), nil
}

// uniqueNames refuses JSON in which an object has two members of one name.
func uniqueNames(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	// open are the names seen in each object that is open; nil for a list. named says
	// that the next text is the name of a member.
	var open []map[string]bool
	named := false
	for {
		token, err := decoder.Token()
		if err != nil {
			// The end, or what is said better where the whole is decoded.
			return nil //nolint:nilerr // see above
		}
		inObject := len(open) > 0 && open[len(open)-1] != nil
		switch word := token.(type) {
		case json.Delim:
			switch word {
			case '{':
				open, named = append(open, map[string]bool{}), true
				continue
			case '[':
				open, named = append(open, nil), false
				continue
			}
			open = open[:len(open)-1]
		case string:
			if inObject && named {
				seen := open[len(open)-1]
				if seen[word] {
					return fmt.Errorf("token has one name twice: %q", identity.Shorten(word))
				}
				seen[word], named = true, false
				continue
			}
		}
		// A value has ended; in an object a name follows.
		named = len(open) > 0 && open[len(open)-1] != nil
	}
}
