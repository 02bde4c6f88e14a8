// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
)

// Authority signs Statements with one key of the manager.
type Authority struct {
	key *ecdsa.PrivateKey
	id  string
}

// NewAuthority takes an ECDSA key on P-256, which every client of TLS understands.
func NewAuthority(key *ecdsa.PrivateKey) (*Authority, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("cannot sign gateway credentials: the key is no ECDSA key on P-256")
	}
	id, err := KeyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Authority{key: key, id: id}, nil
}

// KeyID is the kid of a key: the SHA-256 over its SubjectPublicKeyInfo, in hexadecimal.
func KeyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot encode the public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// tokenClaims are those of a token.
type tokenClaims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expiry    int64  `json:"exp"`
	JWTID     string `json:"jti"`
	Statement
}

// Token is a Statement as a JWT (RFC 7519), a compact JWS by ES256.
func (a *Authority) Token(s Statement) (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	payload, err := json.Marshal(tokenClaims{
		Issuer: Issuer, Audience: Audience, JWTID: s.ID, Statement: s,
		IssuedAt: s.IssuedAt.Unix(), NotBefore: s.IssuedAt.Unix(), Expiry: s.ExpiresAt.Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("cannot encode the statement: %w", err)
	}
	options := (&jose.SignerOptions{}).WithType(TokenType).WithHeader("kid", a.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.key}, options)
	if err != nil {
		return "", fmt.Errorf("cannot sign the statement: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("cannot sign the statement: %w", err)
	}
	return signed.CompactSerialize()
}

// Certificate is a Statement as a client certificate (RFC 5280) for the public key of
// the caller, in DER. The common name is for people who read it; proxies do not.
func (a *Authority) Certificate(s Statement, key crypto.PublicKey, commonName string) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	statement, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the statement: %w", err)
	}
	id, err := hex.DecodeString(a.id)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the key's id: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("cannot make a serial number: %w", err)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "doorward gateway credentials"}, SubjectKeyId: id[:keyIDBytes]}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName},
		NotBefore: s.IssuedAt, NotAfter: s.ExpiresAt,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{{Id: StatementExtension, Value: statement}},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the certificate: %w", err)
	}
	return der, nil
}

// check refuses what a proxy would refuse.
func (s *Statement) check() error {
	switch {
	case !isID(s.ID) || s.Provider == "":
		return fmt.Errorf("invalid statement: want an id of 32 digits and a provider: %q, %q", s.ID, s.Provider)
	case !isID(s.Proof):
		return fmt.Errorf("invalid statement: want a proof of 32 digits: %q", identity.Shorten(s.Proof))
	case len(s.Claims) == 0 || len(s.Claims) > MaxClaimsBytes:
		return fmt.Errorf("invalid statement: want 1 to %d bytes of claims: %d; let the identity provider send fewer groups or attributes", MaxClaimsBytes, len(s.Claims))
	case s.Binding != "" && !challengeText.MatchString(s.Binding):
		return fmt.Errorf("invalid statement: want a binding of 43 characters of base64url: %q", identity.Shorten(s.Binding))
	case !s.ExpiresAt.After(s.IssuedAt) || s.ExpiresAt.Sub(s.IssuedAt) > MaxLifetime:
		return fmt.Errorf("invalid statement: want a lifetime of at most %s: %s", MaxLifetime, s.ExpiresAt.Sub(s.IssuedAt).Round(time.Second))
	}
	return nil
}

// isID says that a text could be the name of a GatewayCredential, or the id of a proof.
func isID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}
