// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"crypto/rand"
	"crypto/rsa"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/record"
)

// TestCertificatesThatAreNone (checklist 2).
func TestCertificatesThatAreNone(t *testing.T) {
	b := newBench(t, startDaemon(t))
	other, _ := newKey(t)
	plain, _ := newKey(t)
	for name, signer := range map[string]ssh.Signer{
		"a plain key":             plain,
		"of another authority":    certificate(t, other, "alice@example.com"),
		"of a host":               certificate(t, b.authority, "alice@example.com", func(c *ssh.Certificate) { c.CertType = ssh.HostCert }),
		"expired":                 certificate(t, b.authority, "alice@example.com", func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter + 1 }),
		"not yet valid":           certificate(t, b.authority, "alice@example.com", func(c *ssh.Certificate) { c.ValidAfter = c.ValidBefore - 1 }),
		"unknown critical option": certificate(t, b.authority, "alice@example.com", func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"new": "x"} }),
		"empty source-address":    certificate(t, b.authority, "alice@example.com", func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{sourceAddress: ""} }),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(b.Log.OfType(record.AuthenticationFailed))
			if _, err := b.dial(t, func(c *ssh.ClientConfig) { c.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)} }); err == nil {
				t.Error("it was taken")
			}
			await(t, "what was tried to be on record", func() bool { return len(b.Log.OfType(record.AuthenticationFailed)) > before })
		})
	}
}

// somebody is what a login says of itself.
type somebody struct {
	ssh.ConnMetadata
	user string
}

func (s somebody) User() string { return s.user }

// TestOfferedCertificates: what the library may take and no signature makes better (checklist 2).
func TestOfferedCertificates(t *testing.T) {
	b := newBench(t, startDaemon(t))
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakKey, err := ssh.NewPublicKey(&weak.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *ssh.Certificate {
		return certificate(t, b.authority, "alice@example.com").PublicKey().(*ssh.Certificate) //nolint:forcetypeassert // as it was made
	}
	l := &login{ctx: t.Context(), entry: b.Gate.Entry(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})}
	if _, err := l.offered(somebody{user: loginUser}, good().Key); err == nil {
		t.Error("a key without its certificate is taken")
	}
	for name, test := range map[string]struct {
		edit func(*ssh.Certificate)
		want bool
	}{
		"good":                    {func(*ssh.Certificate) {}, true},
		"of a short key":          {func(c *ssh.Certificate) { c.Key = weakKey }, false},
		"signed by a certificate": {func(c *ssh.Certificate) { c.SignatureKey = good() }, false},
		"signed by nobody":        {func(c *ssh.Certificate) { c.SignatureKey = nil }, false},
		"of a certificate":        {func(c *ssh.Certificate) { c.Key = good() }, false},
	} {
		c := good()
		test.edit(c)
		if _, err := l.offered(somebody{user: loginUser}, c); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
