// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
)

func request(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"db.example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestExchangeCertificate(t *testing.T) {
	r := serve(t, nil)
	got := r.token(exchanging(person(t, "carol", nil)))
	first := proven(t, got.text("access_token"))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"Ed25519": edwards, "P384": p384} {
		t.Run(name, func(t *testing.T) {
			made := r.token(exchanging(got.text("access_token"), "subject_token_type", jwtType, "requested_token_type", x509Type, "csr", request(t, key)))
			if made.status != 200 || made.text("token_type") != "N_A" || made.text("issued_token_type") != x509Type {
				t.Fatalf("got %d %s", made.status, made.body)
			}
			block, rest := pem.Decode([]byte(made.text("access_token")))
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err != nil || len(rest) > 0 {
				t.Fatal(err, string(rest))
			}
			if !proves(t, leaf) || leaf.Subject.CommonName != "carol" || len(leaf.DNSNames) > 0 || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
				t.Errorf("the certificate is %+v", leaf.Subject)
			}
			if leaf.NotAfter.Unix() != first.Expiry {
				t.Errorf("it ends at %s: nobody renews a proof by what it was proof for", leaf.NotAfter)
			}
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			spec := credential(t, made.text("credential")).Spec
			if spec.Form != v1alpha1.GatewayCredentialClientCertificate || spec.DerivedFrom != first.ID || spec.PublicKeyDigest != fmt.Sprintf("sha256:%x", sha256.Sum256(der)) {
				t.Errorf("the object says %+v", spec)
			}
		})
	}
	t.Run("Revoked", func(t *testing.T) {
		object := credential(t, first.ID)
		object.Spec.Revoke = &v1alpha1.Revocation{Reason: "lost"}
		if err := manager.Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		if object.Spec.Revoke.Username == "" {
			t.Error("who revoked is not stamped")
		}
		made := r.token(exchanging(got.text("access_token"), "subject_token_type", jwtType))
		if made.text("error") != "invalid_grant" || !strings.Contains(made.text("error_description"), "was revoked") {
			t.Errorf("a revoked credential is good for nothing: %d %s", made.status, made.body)
		}
	})
}

func proves(t *testing.T, leaf *x509.Certificate) bool {
	t.Helper()
	for _, key := range publicKeys(t) {
		if (&x509.Certificate{PublicKey: key, PublicKeyAlgorithm: x509.ECDSA}).CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil {
			return true
		}
	}
	return false
}

// badKeys are of kinds that are not taken: too small, and of another curve.
func badKeys(t *testing.T) (*rsa.PrivateKey, *ecdsa.PrivateKey) {
	t.Helper()
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return small, p521
}

// refusal is a request that is refused, and why.
type refusal struct {
	reason string
	form   url.Values
}

// refuses expects requests of somebody to be invalid, and nothing to be left of them.
func (r *replica) refuses(subject string, all map[string]refusal) {
	r.Helper()
	for name, tc := range all {
		if got := r.token(tc.form); got.status != 400 || got.text("error") != "invalid_request" || got.text("access_token") != "" {
			r.Errorf("%s: %s: got %d %s", name, tc.reason, got.status, got.body)
		}
	}
	if found := credentialsOf(r.T, subject); len(found) > 0 {
		r.Errorf("refusals left credentials: %d", len(found))
	}
}

// TestCertificateRefused: whoever asks for a certificate proves to have a key that is good enough.
func TestCertificateRefused(t *testing.T) {
	r := serve(t, nil)
	good := person(t, "csr", nil)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, p521 := badKeys(t)
	csr := request(t, ec)
	block, _ := pem.Decode([]byte(csr))
	block.Bytes[len(block.Bytes)-1] ^= 1
	forged := string(pem.EncodeToMemory(block))
	r.refuses("id-of-csr", map[string]refusal{
		"CSRForToken":  {"a parameter of certificates", exchanging(good, "csr", csr)},
		"NoCSR":        {"required", exchanging(good, "requested_token_type", x509Type)},
		"CSRSignature": {"the caller has to have the key", exchanging(good, "requested_token_type", x509Type, "csr", forged)},
		"SmallRSA":     {"RSA of 3072 bits at least", exchanging(good, "requested_token_type", x509Type, "csr", request(t, small))},
		"Curve":        {"P-256 and P-384", exchanging(good, "requested_token_type", x509Type, "csr", request(t, p521))},
		"TwoCSRs":      {"one block", exchanging(good, "requested_token_type", x509Type, "csr", csr+csr)},
	})
}
