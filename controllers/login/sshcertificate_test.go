// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

// sshLine is a key as in a file id_*.pub.
func sshLine(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " ann@laptop\n"
}

// statedBySSH is what an SSH certificate of the portal says, proven by its public keys.
func statedBySSH(t *testing.T, line string) (*ssh.Certificate, gateway.Statement) {
	t.Helper()
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(rest) > 0 {
		t.Fatalf("not one line of a certificate: %q, %v", line, err)
	}
	s, err := verifier(t).SSHCertificate(key.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ssh.Certificate), s
}

// TestExchangeSSHCertificate: a key of any good kind gets a certificate, which ends with what
// was shown for it.
func TestExchangeSSHCertificate(t *testing.T) {
	r := serve(t, nil)
	got := r.token(exchanging(person(t, "sven, sir", map[string]any{"sub": "id-of-sven"})))
	first := proven(t, got.text("access_token"))
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	security := string(ssh.MarshalAuthorizedKey(parsedSSH(t, ssh.Marshal(struct{ Name, Key, Application string }{ssh.KeyAlgoSKED25519, string(edwards), "ssh:"}))))
	for name, line := range map[string]string{"Ed25519": sshLine(t, edwards), "P384": sshLine(t, &p384.PublicKey), "SecurityKey": security} {
		t.Run(name, func(t *testing.T) {
			made := r.token(exchanging(got.text("access_token"), "subject_token_type", jwtType, "requested_token_type", sshType, "ssh_public_key", line))
			if made.status != 200 || made.text("token_type") != "N_A" || made.text("issued_token_type") != sshType {
				t.Fatalf("got %d %s", made.status, made.body)
			}
			certificate, s := statedBySSH(t, made.text("access_token"))
			if s.ID != made.text("credential") || s.Proof != first.Proof || s.ExpiresAt.Unix() != first.Expiry {
				t.Errorf("it states %+v: nobody renews a proof by what it was proof for", s)
			}
			if len(certificate.ValidPrincipals) != 1 || certificate.ValidPrincipals[0] != "sven??sir" || !strings.Contains(certificate.KeyId, s.ID) {
				t.Errorf("people read %q, %q", certificate.KeyId, certificate.ValidPrincipals)
			}
			spec := credential(t, s.ID).Spec
			if spec.Form != v1alpha1.GatewayCredentialSSHCertificate || spec.DerivedFrom != first.ID || spec.PublicKeyDigest != fmt.Sprintf("sha256:%x", sha256.Sum256(certificate.Key.Marshal())) {
				t.Errorf("the object says %+v", spec)
			}
		})
	}
	t.Run("Delegated", func(t *testing.T) {
		made := r.token(exchanging(person(t, "sven", nil), "actor_token", robot(t, "bot", nil), "actor_token_type", idType, "requested_token_type", sshType, "ssh_public_key", sshLine(t, edwards)))
		if made.status != 200 {
			t.Fatalf("got %d %s", made.status, made.body)
		}
		if _, s := statedBySSH(t, made.text("access_token")); !strings.Contains(string(s.Claims), `"act":{`) || credential(t, s.ID).Spec.Actor.Subject != "id-of-bot" {
			t.Errorf("it states %s", s.Claims)
		}
	})
}

func parsedSSH(t *testing.T, blob []byte) ssh.PublicKey {
	t.Helper()
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestSSHCertificateRefused: one key that is good enough, and nothing else.
func TestSSHCertificateRefused(t *testing.T) {
	r := serve(t, nil)
	good := person(t, "sshkey", nil)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, p521 := badKeys(t)
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"root"}}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	one := big.NewInt(1)
	old := string(ssh.MarshalAuthorizedKey(parsedSSH(t, ssh.Marshal(struct {
		Name       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", new(big.Int).Lsh(one, 1023), new(big.Int).Lsh(one, 159), one, one}))))
	line := sshLine(t, public)
	of := func(key string) url.Values {
		return exchanging(good, "requested_token_type", sshType, "ssh_public_key", key)
	}
	r.refuses("id-of-sshkey", map[string]refusal{
		"ForToken":    {"a parameter of SSH", exchanging(good, "ssh_public_key", line)},
		"ForX509":     {"a parameter of SSH", exchanging(good, "requested_token_type", x509Type, "ssh_public_key", line)},
		"CSR":         {"a parameter of client certificates", exchanging(good, "requested_token_type", sshType, "ssh_public_key", line, "csr", "x")},
		"None":        {"required", of("")},
		"Garbage":     {"no key", of("ssh-ed25519 garbage")},
		"Name":        {"a key is what it says", of(strings.Replace(line, "ssh-ed25519", "ssh-rsa", 1))},
		"Options":     {"a line of authorized_keys restricts, and nothing would keep to it", of(`from="192.0.2.1" ` + line)},
		"Two":         {"one key", of(line + line)},
		"Behind":      {"one line", of("# nothing\n" + line)},
		"Certificate": {"a certificate is no key", of(string(ssh.MarshalAuthorizedKey(certificate)))},
		"SmallRSA":    {"RSA of 3072 bits at least", of(sshLine(t, &small.PublicKey))},
		"Curve":       {"P-256 and P-384", of(sshLine(t, &p521.PublicKey))},
		"DSA":         {"broken", of(old)},
		"Huge":        {"bounded", of(line[:len(line)-1] + strings.Repeat("x", 16<<10))},
	})
}
