// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is what the manager issues to callers whom an IdentityProvider has
// proven: tokens, for whom no proxy could check the proof, and client certificates and SSH
// user certificates, for clients that cannot carry a token. All hold a Statement: the
// claims that proved the caller, which every proxy maps and judges by the provider that is
// in force now, as if it had been shown the proof itself.
//
// One key signs all forms, by ECDSA and SHA-256. None can be taken for another: what is
// signed begins with "e" in a token (base64url of "{"), with 0x30 in a client certificate
// (a SEQUENCE of DER), and with 0x00 in an SSH certificate (the length of its type's name).
package gateway

import (
	"encoding/asn1"
	"encoding/json"
	"time"
)

// Statement is what the manager states of a caller.
type Statement struct {
	// ID is the name of the GatewayCredential: 32 lower-case hexadecimal digits.
	ID string `json:"id"`
	// Provider is the name of the IdentityProvider that proved the caller.
	Provider string `json:"provider"`
	// Proof tells the proof by which the owner came to the portal from all others
	// (identity.ProofID): credentials that were made of one proof, or of each other, have
	// it in common, and whoever shows any of them uses that proof.
	Proof string `json:"proof"`
	// Claims are those of the token, or of the SAML assertion: a JSON object. A Verifier
	// gives them the credential's own iat, nbf and exp.
	Claims json.RawMessage `json:"claims"`
	// Binding is the Challenge of the secret without which a token proves nobody; empty
	// where it is bound to nothing. Certificates have none.
	Binding string `json:"binding,omitempty"`
	// IssuedAt and ExpiresAt bound the credential, in whole seconds.
	IssuedAt  time.Time `json:"-"`
	ExpiresAt time.Time `json:"-"`
	// KeyID is that of the key that has signed it, where a Verifier has found out.
	KeyID string `json:"-"`
}

// What tells the manager's tokens from those of others.
const (
	// Issuer is their iss claim.
	Issuer = "https://doorward.dev/gateway"
	// Audience is their aud claim.
	Audience = "https://doorward.dev/proxy"
	// TokenType is their header parameter typ (RFC 8725 section 3.11).
	TokenType = "gateway+jwt"
)

// MaxLifetime is the longest that a credential is good for.
const MaxLifetime = 12 * time.Hour

// keyIDBytes is how much of a KeyID is the authority's key id of a certificate, which is
// mostly a SHA-1 (RFC 5280 section 4.2.1.2).
const keyIDBytes = 20

// MaxClaimsBytes bounds the claims of a Statement: a token must fit where tokens are
// taken (identity.MaxTokenBytes), in base64 and with its signature.
const MaxClaimsBytes = 8 << 10

// StatementExtension is the X.509 extension that holds the Statement as JSON: random
// arcs below that of UUIDs (ITU-T X.667), for which nobody has to be asked. A whole UUID
// is more than crypto/x509 reads.
var StatementExtension = asn1.ObjectIdentifier{2, 25, 621532333, 582642752}
