// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/identity/gateway"
)

// subjectTypes are the token types that a caller may come with: all are JWTs here.
var subjectTypes = []string{typeIDToken, typeAccessToken, typeJWT}

// exchange is RFC 8693: a token of an issuer, or of this portal, for a gateway token or a
// client certificate. Whoever has the token needs nothing else: no client is asked for.
func (p *Portal) exchange(ctx context.Context, form url.Values, address string) (*issued, error) {
	key, err := checkExchange(form)
	if err != nil {
		return nil, err
	}
	found, err := p.prove(ctx, "subject_token", form.Get("subject_token"))
	if err != nil {
		return nil, err
	}
	if form.Has("actor_token") {
		actor, err := p.prove(ctx, "actor_token", form.Get("actor_token"))
		if err != nil {
			return nil, faultOf(err).about(found)
		}
		acted, err := delegate(found, actor)
		if err != nil {
			return nil, faultOf(err).about(found)
		}
		found = acted
	}
	return p.issue(ctx, found, wanted{key: key, address: address})
}

// checkExchange is about the parameters of RFC 8693, section 2.1, and returns the key that
// a certificate is asked for.
func checkExchange(form url.Values) (crypto.PublicKey, error) {
	switch {
	case form.Get("subject_token") == "":
		return nil, refuse(codeInvalidRequest, "subject_token is missing: want a JWT of an IdentityProvider that has spec.login")
	case !slices.Contains(subjectTypes, form.Get("subject_token_type")):
		return nil, refuse(codeInvalidRequest, "invalid subject_token_type: want one of %s", strings.Join(subjectTypes, ", "))
	case form.Has("actor_token") != form.Has("actor_token_type"), form.Has("actor_token") && !slices.Contains(subjectTypes, form.Get("actor_token_type")):
		return nil, refuse(codeInvalidRequest, "invalid actor_token_type: want one of %s beside actor_token, and none without it", strings.Join(subjectTypes, ", "))
	case form.Has("audience") && form.Get("audience") != gateway.Audience, form.Has("resource"):
		return nil, refuse(codeInvalidTarget, "credentials are for the proxies of this installation: leave resource out, and audience, or make it %s", gateway.Audience)
	}
	switch requested := form.Get("requested_token_type"); requested {
	case "", typeJWT:
		if form.Has("csr") {
			return nil, refuse(codeInvalidRequest, "csr is for requested_token_type %s", typeX509)
		}
		return nil, nil
	case typeX509:
		return keyOf(form.Get("csr"))
	default:
		return nil, refuse(codeInvalidRequest, "invalid requested_token_type: want %s or %s", typeJWT, typeX509)
	}
}

const (
	maxRequestBytes = 16 << 10
	minRSABits      = 3072
	maxRSABits      = 8192
)

// keyOf reads the public key of a PKCS #10 request (RFC 2986) in PEM, whose signature
// proves that the caller has the private one. Nothing else of it is taken over: names are
// what the proof says.
func keyOf(text string) (crypto.PublicKey, error) {
	if text == "" || len(text) > maxRequestBytes {
		return nil, refuse(codeInvalidRequest, "csr is missing or too large: want a certificate request (PKCS #10) in PEM of at most %d bytes", maxRequestBytes)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || strings.TrimSpace(string(rest)) != "" {
		return nil, refuse(codeInvalidRequest, "csr: want one PEM block of type CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, refuse(codeInvalidRequest, "csr: not a certificate request (RFC 2986)")
	}
	if err := checkKey(request.PublicKey); err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, refuse(codeInvalidRequest, "csr: its signature is not by its own key, or by an algorithm that is not taken: sign it with SHA-256 or better")
	}
	return request.PublicKey, nil
}

func checkKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits >= minRSABits && bits <= maxRSABits {
			return nil
		}
	}
	return refuse(codeInvalidRequest, "csr: want an ECDSA key on P-256 or P-384, an Ed25519 key, or an RSA key of %d to %d bits", minRSABits, maxRSABits)
}
