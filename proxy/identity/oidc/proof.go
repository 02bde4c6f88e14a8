// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"strings"

	"github.com/doorward/doorward/proxy/identity"
)

// proofID tells a token from all others, by its issuer and its jti (RFC 7519 section 4.1.7),
// or by all of it that is signed. The signature is left out: of some algorithms, whoever has
// a token can write it in another way.
func proofID(issuer, token string, c claims) string {
	if id, err := c.text("jti"); err == nil {
		return identity.ProofID("jti", issuer, id)
	}
	signed := token[:max(strings.LastIndexByte(token, '.'), 0)]
	return identity.ProofID("token", issuer, signed)
}
