// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

const (
	id    = "0123456789abcdef0123456789abcdef"
	proof = "fedcba9876543210fedcba9876543210"
)

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func statement() gateway.Statement {
	now := time.Now().Truncate(time.Second)
	return gateway.Statement{
		ID: id, Provider: "corp", Proof: proof, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		Claims: json.RawMessage(`{"iss":"https://idp.example","sub":"4711"}`),
	}
}

func TestSigned(t *testing.T) {
	key := newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	largest := statement()
	largest.Claims = json.RawMessage(`{"a":"` + strings.Repeat("x", gateway.MaxClaimsBytes-8) + `"}`)
	token, err := authority.Token(largest)
	if err != nil {
		t.Fatal(err)
	}
	if len(token) > identity.MaxTokenBytes {
		t.Errorf("the largest token has %d bytes, and proxies take %d", len(token), identity.MaxTokenBytes)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signed.Verify(&key.PublicKey); err != nil {
		t.Error(err)
	}

	leaf := newKey(t, elliptic.P256())
	der, err := authority.Certificate(statement(), &leaf.PublicKey, "ann@corp.example")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	// CheckSignature is for the issuer's certificate, of which there is none.
	issuer := &x509.Certificate{PublicKey: &key.PublicKey, PublicKeyAlgorithm: x509.ECDSA}
	if err := issuer.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		t.Error(err)
	}
	if certificate.IsCA || len(certificate.ExtKeyUsage) != 1 || certificate.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Error("the certificate is good for more than to be a client")
	}
}

func TestRefusedToSign(t *testing.T) {
	if _, err := gateway.NewAuthority(newKey(t, elliptic.P384())); err == nil {
		t.Error("a key on another curve was taken")
	}
	authority, err := gateway.NewAuthority(newKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		reason string
		change func(*gateway.Statement)
		says   string
	}{
		"NoID":       {"revocation goes by the id", func(s *gateway.Statement) { s.ID = "" }, "an id"},
		"NoProvider": {"claims mean what a provider says", func(s *gateway.Statement) { s.Provider = "" }, "a provider"},
		"NoProof":    {"nobody would find who shares it", func(s *gateway.Statement) { s.Proof = "" }, "proof"},
		"LongProof":  {"32 digits", func(s *gateway.Statement) { s.Proof += "0" }, "proof"},
		"NoClaims":   {"nobody is proven by nothing", func(s *gateway.Statement) { s.Claims = nil }, "claims"},
		"TooLarge":   {"proxies take no larger token", func(s *gateway.Statement) { s.Claims = make([]byte, gateway.MaxClaimsBytes+1) }, "fewer groups"},
		"Eternal":    {"credentials are short-lived", func(s *gateway.Statement) { s.ExpiresAt = s.IssuedAt.Add(gateway.MaxLifetime + time.Second) }, "lifetime"},
		"Backwards":  {"it would never have been good", func(s *gateway.Statement) { s.ExpiresAt = s.IssuedAt }, "lifetime"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := statement()
			test.change(&changed)
			_, err := authority.Token(changed)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want an error that says %q: %v", test.reason, test.says, err)
			}
		})
	}
}
