// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/proxy/protocol/ssh"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/sshd"
)

// SSH is a Connection to an account of an sshd that trusts an authority of users. Options are
// further ones of the protocol.
func SSH(target *sshd.Server, account string, authority ed25519.PrivateKey, options map[string]any) (Config, error) {
	block, err := gossh.MarshalPrivateKey(authority, "")
	if err != nil {
		return Config{}, fmt.Errorf("cannot encode the authority's key: %w", err)
	}
	all := map[string]any{"hostKeys": []string{strings.TrimSpace(string(gossh.MarshalAuthorizedKey(target.HostKey)))}}
	for name, value := range options {
		all[name] = value
	}
	return Config{
		Protocol: ssh.New(), Options: all, TLS: snapshot.TLS{Mode: "Disabled"},
		Target:     snapshot.Target{Host: target.Host, Port: int32(target.Port)},
		Credential: map[string][]byte{"username": []byte(account), "ssh-ca-key": pem.EncodeToMemory(block)},
	}, nil
}

// certifyHost makes the host key that is shown, its certificate, and what trusts it.
func (g *Gateway) certifyHost(key []byte) (err error) {
	if key == nil {
		if key, err = hostkey.New("gateway"); err != nil {
			return err
		}
	}
	signer, err := hostkey.ParsePrivate(key)
	if err != nil {
		return err
	}
	g.HostKey = signer.PublicKey()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make an authority of hosts: %w", err)
	}
	authority, err := gossh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("cannot make an authority of hosts: %w", err)
	}
	now := time.Now()
	certificate := &gossh.Certificate{
		Key: signer.PublicKey(), CertType: gossh.HostCert, KeyId: "gateway", ValidPrincipals: []string{"localhost", g.Host},
		ValidAfter: uint64(now.Add(-time.Minute).Unix()), ValidBefore: uint64(now.Add(24 * time.Hour).Unix()),
	}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		return fmt.Errorf("cannot certify the host key: %w", err)
	}
	g.KnownHostsPath = filepath.Join(g.dir, "known_hosts")
	trust := append([]byte("@cert-authority * "), gossh.MarshalAuthorizedKey(authority.PublicKey())...)
	return errors.Join(
		os.WriteFile(filepath.Join(g.dir, hostkey.PrivateKey), key, 0o600),
		os.WriteFile(filepath.Join(g.dir, hostkey.Certificate), gossh.MarshalAuthorizedKey(certificate), 0o644),
		os.WriteFile(g.KnownHostsPath, trust, 0o644))
}
