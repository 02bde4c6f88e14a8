// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/sshd"
)

// suite is what all tests use: two servers, and the proxy before one of them, once as it allows
// everything and once as it allows some commands.
type suite struct {
	dir             string
	account         string
	target, second  *sshd.Server
	proxy, execOnly *gateway.Gateway
	services        *services
	// The ways to the target. The last is the one on which little is allowed.
	direct, proxied, confined side
}

var shared suite

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	err := shared.start(context.Background())
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, shared.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// programs are what the tests run.
var programs = []string{"ssh", "scp", "sftp", "ssh-add", "ssh-agent", "ssh-keygen", "bash", "tmux", "rsync", "git", "curl", "xauth", "sha256sum"}

func (s *suite) start(ctx context.Context) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is missing: run `hack/install-deps.sh ssh sshclients`", name)
		}
	}
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("cannot tell who runs the tests: %w", err)
	}
	s.account = me.Username
	// Sockets are below it, whose paths must be short.
	if s.dir, err = os.MkdirTemp("", "dw-ssh-"); err != nil {
		return err
	}
	if s.services, err = serve(ctx); err != nil {
		return err
	}
	own, err := s.newKey()
	if err != nil {
		return err
	}
	authority, trusted, err := sshd.NewAuthority()
	if err != nil {
		return err
	}
	options := sshd.Options{
		Accounts:       []sshd.Account{{Name: s.account, AuthorizedKeys: []gossh.PublicKey{own}}},
		TrustedUserCAs: []gossh.PublicKey{trusted},
		Config:         []string{"AcceptEnv GIT_PROTOCOL", "ClientAliveInterval 5", "ClientAliveCountMax 20"},
	}
	if s.target, err = sshd.Start(ctx, options); err != nil {
		return err
	}
	if s.second, err = sshd.Start(ctx, options); err != nil {
		return err
	}
	config, err := gateway.SSH(s.target, s.account, authority, map[string]any{"keepAliveSeconds": 5})
	if err != nil {
		return err
	}
	if s.proxy, err = gateway.Start(ctx, config); err != nil {
		return err
	}
	config.Policies = execOnly
	if s.execOnly, err = gateway.Start(ctx, config); err != nil {
		return err
	}
	return s.settle()
}

// execOnly allows a few commands and what they need, by name.
var execOnly = []policy.Policy{{
	Name: "exec-only", UID: "uid-exec-only", Generation: 1,
	Subjects: []policy.Subject{{Kind: "User", Name: gateway.UserName}},
	Rules: []policy.Rule{{
		Name: "some", Effect: policy.Allow, Actions: []string{"exec"}, Resources: []string{"cat", "wc", "/usr/bin/id"},
	}},
}}

func (s *suite) stop() error {
	var errs []error
	for _, g := range []*gateway.Gateway{s.proxy, s.execOnly} {
		if g != nil {
			errs = append(errs, g.Stop())
		}
	}
	for _, server := range []*sshd.Server{s.target, s.second} {
		if server != nil {
			errs = append(errs, server.Stop())
		}
	}
	if s.services != nil {
		errs = append(errs, s.services.stop())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// newKey makes the key that the ways log in with, at the proxy by a certificate: anybody's is taken.
func (s *suite) newKey() (gossh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, "conformance")
	if err != nil {
		return nil, err
	}
	key, err := gossh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	certificate := &gossh.Certificate{
		Key: key, CertType: gossh.UserCert, KeyId: gateway.UserName, ValidPrincipals: []string{"alice"}, ValidBefore: gossh.CertTimeInfinity,
	}
	return key, errors.Join(
		certificate.SignCert(rand.Reader, signer),
		os.WriteFile(s.file("key"), pem.EncodeToMemory(block), 0o600),
		// Under the key's own name, ssh would show it to everybody.
		os.WriteFile(s.file("user-cert.pub"), gossh.MarshalAuthorizedKey(certificate), 0o644),
	)
}

func (s *suite) file(name string) string { return filepath.Join(s.dir, name) }

// settle writes what clients need.
func (s *suite) settle() error {
	trust := fmt.Sprintf("[%s]:%d %s[%s]:%d %s",
		s.target.Host, s.target.Port, gossh.MarshalAuthorizedKey(s.target.HostKey),
		s.second.Host, s.second.Port, gossh.MarshalAuthorizedKey(s.second.HostKey))
	err := errors.Join(
		os.WriteFile(s.file("known_hosts"), []byte(trust), 0o644),
		// Anything is a token.
		os.WriteFile(s.file("askpass"), []byte("#!/bin/sh\necho token\n"), 0o755),
		writeData(s.file("data"), dataSize),
	)
	if err != nil {
		return err
	}
	own := []string{"IdentityFile " + s.file("key"), "IdentitiesOnly yes", "PreferredAuthentications publickey"}
	byKey := slices.Concat(own, []string{"UserKnownHostsFile " + s.file("known_hosts")})
	byCertificate := slices.Concat(own, []string{"CertificateFile " + s.file("user-cert.pub"), "UserKnownHostsFile " + s.proxy.KnownHostsPath})
	byToken := []string{"PreferredAuthentications password", "NumberOfPasswordPrompts 1", "UserKnownHostsFile " + s.execOnly.KnownHostsPath}
	for _, w := range []struct {
		side *side
		name string
		port int
		how  []string
	}{
		{&s.direct, "direct", s.target.Port, byKey},
		{&s.proxied, "proxied", s.proxy.Port, byCertificate},
		{&s.confined, "confined", s.execOnly.Port, byToken},
	} {
		if *w.side, err = s.newSide(w.name, w.port, w.how, byKey); err != nil {
			return err
		}
	}
	return nil
}
