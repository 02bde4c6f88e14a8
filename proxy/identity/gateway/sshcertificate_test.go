// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

func sshSigner(tb testing.TB, key crypto.Signer) ssh.Signer {
	tb.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func newEd25519(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// sshCertificate is one as the manager makes it, but for what a test changes.
func sshCertificate(tb testing.TB, by ssh.Signer, change ...func(*ssh.Certificate)) []byte {
	tb.Helper()
	s := statement()
	encoded, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	certificate := &ssh.Certificate{
		Key: sshSigner(tb, newEd25519(tb)).PublicKey(), CertType: ssh.UserCert, Serial: 1, KeyId: "ann", ValidPrincipals: []string{"ann"},
		ValidAfter: uint64(s.IssuedAt.Unix()), ValidBefore: uint64(s.ExpiresAt.Unix()),
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{gateway.StatementOption: string(encoded)}},
	}
	for _, c := range change {
		c(certificate)
	}
	if err := certificate.SignCert(rand.Reader, by); err != nil {
		tb.Fatal(err)
	}
	return certificate.Marshal()
}

// TestSSHCertificateVerified: what the manager signs, a proxy reads, for keys of all kinds.
func TestSSHCertificateVerified(t *testing.T) {
	former, key := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	kid, err := gateway.KeyID(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	security, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name, Key, Application string
	}{ssh.KeyAlgoSKED25519, strings.Repeat("k", ed25519.PublicKeySize), "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, never, former, key)
	for name, public := range map[string]ssh.PublicKey{
		"Ed25519":     sshSigner(t, newEd25519(t)).PublicKey(),
		"P384":        sshSigner(t, newKey(t, elliptic.P384())).PublicKey(),
		"RSA":         sshSigner(t, long).PublicKey(),
		"SecurityKey": security,
	} {
		t.Run(name, func(t *testing.T) {
			issued := statement()
			issued.Claims = json.RawMessage(`{"a":"` + strings.Repeat("x", gateway.MaxClaimsBytes-8) + `"}`)
			certificate, err := authority.SSHCertificate(issued, public, []string{"ann@corp.example"})
			if err != nil {
				t.Fatal(err)
			}
			if certificate.Serial != 0x0123456789abcdef || certificate.KeyId != "ann@corp.example, gateway credential "+id || len(certificate.Extensions) > 0 {
				t.Errorf("the certificate says serial %x, key id %q, extensions %q", certificate.Serial, certificate.KeyId, certificate.Extensions)
			}
			got, err := v.SSHCertificate(certificate.Marshal())
			if err != nil || got.ID != id || got.Provider != "corp" || got.Proof != proof || got.KeyID != kid ||
				!got.IssuedAt.Equal(issued.IssuedAt) || !got.ExpiresAt.Equal(issued.ExpiresAt) || !strings.Contains(string(got.Claims), `"exp":`) {
				t.Errorf("SSHCertificate = %+v, %v", got, err)
			}
		})
	}
	plain := sshSigner(t, newEd25519(t)).PublicKey()
	certificate, err := authority.SSHCertificate(statement(), plain, []string{"ann"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		reason string
		key    ssh.PublicKey
		names  []string
	}{
		"Nested":  {"a certificate is no key", certificate, []string{"ann"}},
		"NoKey":   {"nobody would have it", nil, []string{"ann"}},
		"NoNames": {"checklist 2: OpenSSH takes no principal for any", plain, nil},
		"Comma":   {"checklist 2: one that is a list", plain, []string{"root,ann"}},
		"Space":   {"it is printed in lists", plain, []string{"ann bob"}},
		"Control": {"checklist 48", plain, []string{"ann\x1b[2J"}},
		"Hidden":  {"checklist 48", plain, []string{"ann\u202e"}},
		"Empty":   {"it is nobody", plain, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := authority.SSHCertificate(statement(), test.key, test.names); err == nil {
				t.Errorf("%s: signed", test.reason)
			}
		})
	}
	eternal := statement()
	eternal.ExpiresAt = eternal.IssuedAt.Add(gateway.MaxLifetime + time.Second)
	if _, err := authority.SSHCertificate(eternal, plain, []string{"ann"}); err == nil {
		t.Error("signed for longer than credentials are good")
	}
}

// nestedSignatureKey is signed by a key that has a certificate of the authority, and says so where
// the key of the authority belongs (CVE-2025-49825).
func nestedSignatureKey(tb testing.TB, by ssh.Signer) []byte {
	tb.Helper()
	own := sshSigner(tb, newEd25519(tb))
	parse := func(blob []byte) *ssh.Certificate {
		key, err := ssh.ParsePublicKey(blob)
		if err != nil {
			tb.Fatal(err)
		}
		return key.(*ssh.Certificate)
	}
	outer := parse(sshCertificate(tb, own))
	outer.SignatureKey = parse(sshCertificate(tb, by, func(c *ssh.Certificate) { c.Key = own.PublicKey() }))
	outer.Signature = nil
	unsigned := outer.Marshal()
	signature, err := own.Sign(rand.Reader, unsigned[:len(unsigned)-4]) // without the length of none
	if err != nil {
		tb.Fatal(err)
	}
	if err := outer.SignatureKey.Verify(unsigned[:len(unsigned)-4], signature); err != nil {
		tb.Fatalf("nobody could be deceived by it: %v", err)
	}
	outer.Signature = signature
	return outer.Marshal()
}

// TestSSHCertificateRefused (checklist 2, 29): what others sign is no credential, and what
// the manager's key signed for something else is a bad one.
func TestSSHCertificateRefused(t *testing.T) {
	key, other := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	ours, theirs := sshSigner(t, key), sshSigner(t, other)
	revoked := false
	v := verifierOf(t, func(string) (string, bool) { return "laptop lost", revoked }, key)
	good := sshCertificate(t, ours)
	if got, err := v.SSHCertificate(good); err != nil || got.ID != id {
		t.Fatalf("the certificate that all others differ from: %+v, %v", got, err)
	}
	if _, err := v.SSHCertificate(sshCertificate(t, ours, func(c *ssh.Certificate) {
		c.ValidPrincipals, c.KeyId, c.Extensions = []string{"root"}, "root", map[string]string{"permit-pty": ""}
	})); err != nil {
		t.Errorf("nothing is read of names, and an extension may be ignored: %v", err)
	}
	type change = func(*ssh.Certificate)
	option := func(name, value string) change {
		return func(c *ssh.Certificate) { c.CriticalOptions[name] = value }
	}
	text := func(value string) change { return option(gateway.StatementOption, value) }
	tampered := append([]byte(nil), good...)
	tampered[len(tampered)-1] ^= 1
	parsed, err := ssh.ParsePublicKey(good)
	if err != nil {
		t.Fatal(err)
	}
	escalated := *parsed.(*ssh.Certificate)
	escalated.Permissions = ssh.Permissions{CriticalOptions: map[string]string{gateway.StatementOption: strings.Replace(escalated.CriticalOptions[gateway.StatementOption], "4711", "1", 1)}}
	byRSA := *parsed.(*ssh.Certificate)
	byRSA.Signature = &ssh.Signature{Format: ssh.KeyAlgoRSASHA256, Blob: byRSA.Signature.Blob}
	// An empty value may be written as nothing, or as a string of nothing, and is signed as
	// the former.
	extension := func(value string) []byte {
		return ssh.Marshal(struct{ Extensions []byte }{ssh.Marshal(struct{ Name, Value string }{"permit-pty", value})})
	}
	spelled := bytes.Replace(sshCertificate(t, ours, func(c *ssh.Certificate) { c.Extensions = map[string]string{"permit-pty": ""} }), extension(""), extension("\x00\x00\x00\x00"), 1)
	now := time.Now()
	for name, test := range map[string]struct {
		reason string
		blob   []byte
		is     error
		says   string
	}{
		"Plain":      {"a key without certificate proves nobody", ours.PublicKey().Marshal(), identity.ErrForeign, ""},
		"Foreign":    {"clients offer what they have to every server", sshCertificate(t, theirs), identity.ErrForeign, ""},
		"Ed25519":    {"one algorithm", sshCertificate(t, sshSigner(t, newEd25519(t))), identity.ErrForeign, ""},
		"Tampered":   {"the signature is checked", tampered, identity.ErrForeign, ""},
		"Escalated":  {"the statement is signed", escalated.Marshal(), identity.ErrForeign, ""},
		"Algorithm":  {"a signature says by what it was made", byRSA.Marshal(), identity.ErrForeign, ""},
		"Nested":     {"an authority is a key, and no certificate", nestedSignatureKey(t, ours), identity.ErrForeign, ""},
		"Trailing":   {"one spelling", append(append([]byte(nil), good...), 0), identity.ErrForeign, ""},
		"Spelling":   {"one spelling, within too", spelled, identity.ErrForeign, ""},
		"Cut":        {"half of one", good[:len(good)/2], identity.ErrForeign, ""},
		"Empty":      {"nothing", nil, identity.ErrForeign, ""},
		"Huge":       {"bounded before it is read", make([]byte, gateway.MaxCertificateBytes+1), identity.ErrForeign, "16385 bytes"},
		"Large":      {"bounded, whoever signed it", sshCertificate(t, ours, option("zzz", strings.Repeat("x", gateway.MaxCertificateBytes))), identity.ErrForeign, "bytes"},
		"Host":       {"a host is no caller", sshCertificate(t, ours, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }), identity.ErrRejected, "a host's"},
		"NoOption":   {"without a statement it is for something else", sshCertificate(t, ours, func(c *ssh.Certificate) { c.CriticalOptions = nil }), identity.ErrRejected, "no critical option"},
		"Extension":  {"the statement is critical", sshCertificate(t, ours, func(c *ssh.Certificate) { c.Extensions, c.CriticalOptions = c.CriticalOptions, nil }), identity.ErrRejected, "no critical option"},
		"Unknown":    {"an option that we do not know restricts", sshCertificate(t, ours, option("verify-required", "")), identity.ErrRejected, "verify-required"},
		"Source":     {"also one that libraries know", sshCertificate(t, ours, option("source-address", "192.0.2.0/24")), identity.ErrRejected, "source-address"},
		"Principals": {"none is all", sshCertificate(t, ours, func(c *ssh.Certificate) { c.ValidPrincipals = nil }), identity.ErrRejected, "principals"},
		"Comma":      {"one that is a list", sshCertificate(t, ours, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"root,alice"} }), identity.ErrRejected, "principals"},
		"Reserved":   {"what a later version may say", sshCertificate(t, ours, func(c *ssh.Certificate) { c.Reserved = []byte{1} }), identity.ErrRejected, "reserved"},
		"Expired": {"it was good", sshCertificate(t, ours, func(c *ssh.Certificate) {
			c.ValidAfter, c.ValidBefore = uint64(now.Add(-time.Hour).Unix()), uint64(now.Unix())
		}), identity.ErrRejected, "expired at"},
		"Early":      {"not good yet", sshCertificate(t, ours, func(c *ssh.Certificate) { c.ValidAfter = uint64(now.Add(5 * time.Minute).Unix()) }), identity.ErrRejected, "not valid before"},
		"Long":       {"no key makes one that lasts", sshCertificate(t, ours, func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Add(13 * time.Hour).Unix()) }), identity.ErrRejected, "lifetime"},
		"Infinite":   {"nor an eternal one", sshCertificate(t, ours, func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }), identity.ErrRejected, "no span"},
		"Always":     {"nor one from the beginning of time", sshCertificate(t, ours, func(c *ssh.Certificate) { c.ValidAfter = 0 }), identity.ErrRejected, "no span"},
		"NoJSON":     {"the statement is JSON", sshCertificate(t, ours, text("x")), identity.ErrRejected, "not a token"},
		"NoText":     {"nothing is no statement", sshCertificate(t, ours, text("")), identity.ErrRejected, "not a token"},
		"Twice":      {"one name once", sshCertificate(t, ours, text(`{"id":"`+id+`","provider":"a","provider":"b","claims":{}}`)), identity.ErrRejected, "twice"},
		"More":       {"what a later manager may restrict by", sshCertificate(t, ours, text(`{"id":"`+id+`","provider":"a","proof":"`+proof+`","claims":{},"address":"x"}`)), identity.ErrRejected, "upgrade"},
		"NoProvider": {"claims mean what a provider says", sshCertificate(t, ours, text(`{"id":"`+id+`","proof":"`+proof+`","claims":{}}`)), identity.ErrRejected, "provider"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.SSHCertificate(test.blob)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want %v that says %q: %v", test.reason, test.is, test.says, err)
			}
			if test.is == identity.ErrForeign && errors.Is(err, identity.ErrRejected) { //nolint:errorlint // which of the two it is
				t.Errorf("%s: what others signed is no credential at all: %v", test.reason, err)
			}
		})
	}
	revoked = true
	if _, err := v.SSHCertificate(good); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "was revoked: laptop lost") {
		t.Errorf("checklist 36: a revoked certificate: %v", err)
	}
	if _, err := verifierOf(t, never).SSHCertificate(good); !errors.Is(err, identity.ErrForeign) {
		t.Errorf("where there are no keys, none is ours: %v", err)
	}
	closed, err := gateway.NewVerifier(nil, "ask an admin", never)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := closed.SSHCertificate(good); !errors.Is(err, identity.ErrRejected) || !strings.HasSuffix(err.Error(), ": ask an admin") {
		t.Errorf("where none is good, it is said why: %v", err)
	}
	for _, blob := range [][]byte{ours.PublicKey().Marshal(), sshCertificate(t, theirs, func(c *ssh.Certificate) { c.CriticalOptions = nil })} {
		if _, err := closed.SSHCertificate(blob); !errors.Is(err, identity.ErrForeign) {
			t.Errorf("and what is somebody else's stays so: %v", err)
		}
	}
}

// FuzzSSHCertificate: whatever a client shows, it is a statement of the manager's, or an
// error of one of two kinds.
func FuzzSSHCertificate(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	signer := sshSigner(f, key)
	good := sshCertificate(f, signer)
	for _, seed := range [][]byte{
		good, good[:len(good)-1], signer.PublicKey().Marshal(), nestedSignatureKey(f, signer),
		sshCertificate(f, signer, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }),
		sshCertificate(f, sshSigner(f, newEd25519(f))),
	} {
		f.Add(seed)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	v, err := gateway.NewVerifier([][]byte{public}, "", never)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		s, err := v.SSHCertificate(blob)
		switch {
		case err == nil && s.ID != id:
			t.Errorf("proven without the key: %+v", s)
		case err != nil && !errors.Is(err, identity.ErrForeign) && !errors.Is(err, identity.ErrRejected):
			t.Errorf("neither foreign nor rejected: %v", err)
		}
	})
}
