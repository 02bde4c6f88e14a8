// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/sshd"
)

// keyExchange is what is negotiated on every connection. It has two names.
const keyExchange = "curve25519-sha256,curve25519-sha256@libssh.org"

// ciphers are what all peers may negotiate, in the client's order.
var ciphers = "aes128-gcm@openssh.com"

// place is a target, who may log in there, and what is put in front of it.
type place struct {
	target  *sshd.Server
	account string
	// authority certifies users; host certifies the target's key.
	authority ed25519.PrivateKey
	host      ssh.Signer
	// dir is for what is written; content for what is moved, in memory where there is such a place.
	dir, content string
	// logs is where the proxies' logs lie.
	logs string

	helpers   []*kit.Helper
	processes []*proc.Process
	made      int
}

// inMemory is where files cost no disk.
const inMemory = "/dev/shm"

// startPlace starts a target that knows a user by certificate and by key.
func startPlace(ctx context.Context, s settings) (_ *place, err error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("cannot tell who this is: %w", err)
	}
	p := &place{account: me.Username}
	defer func() {
		if err != nil {
			err = p.stop(err)
		}
	}()
	if p.dir, err = os.MkdirTemp("", "doorward-bench-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	if p.logs, err = os.MkdirTemp(s.dir, "doorward-bench-log-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	memory := inMemory
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	if p.content, err = os.MkdirTemp(memory, "doorward-bench-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	key, err := p.certify()
	if err != nil {
		return nil, err
	}
	trusted, err := ssh.NewSignerFromKey(p.authority)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority: %w", err)
	}
	p.target, err = sshd.Start(ctx, sshd.Options{
		Accounts:       []sshd.Account{{Name: p.account, AuthorizedKeys: []ssh.PublicKey{key}}},
		TrustedUserCAs: []ssh.PublicKey{trusted.PublicKey()}, HostAuthority: p.host,
		Config: []string{"Ciphers " + ciphers, "KexAlgorithms " + keyExchange, "LogLevel INFO"},
	})
	return p, err
}

// stop ends and removes all that was started, and adds what went wrong to an error.
func (p *place) stop(err error) error {
	for _, h := range p.helpers {
		h.Stop()
	}
	for _, process := range p.processes {
		err = errors.Join(err, process.Stop())
	}
	if p.target != nil {
		err = errors.Join(err, p.target.Stop())
	}
	for _, dir := range []string{p.dir, p.content, p.logs} {
		if dir != "" {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

// certify makes the authorities, and the caller's key with and without a certificate.
func (p *place) certify() (ssh.PublicKey, error) {
	_, hosts, err1 := ed25519.GenerateKey(rand.Reader)
	_, users, err2 := ed25519.GenerateKey(rand.Reader)
	_, own, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("cannot make keys: %w", err)
	}
	p.authority = users
	var err error
	if p.host, err = ssh.NewSignerFromKey(hosts); err != nil {
		return nil, fmt.Errorf("cannot make an authority: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(own)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	certificate, err := p.certificate(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	private, err := encode(own)
	return signer.PublicKey(), errors.Join(err,
		os.WriteFile(p.file("key"), private, 0o600),
		os.WriteFile(p.file("certificate"), ssh.MarshalAuthorizedKey(certificate), 0o600))
}

// certificate names the caller on a key, for as long as a benchmark may take.
func (p *place) certificate(key ssh.PublicKey) (*ssh.Certificate, error) {
	authority, err := ssh.NewSignerFromKey(p.authority)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority: %w", err)
	}
	c := &ssh.Certificate{
		Key: key, CertType: ssh.UserCert, KeyId: "caller", ValidPrincipals: []string{p.account},
		ValidAfter: uint64(time.Now().Add(-time.Minute).Unix()), ValidBefore: uint64(time.Now().Add(24 * time.Hour).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	if err := c.SignCert(rand.Reader, authority); err != nil {
		return nil, fmt.Errorf("cannot certify the caller: %w", err)
	}
	return c, nil
}

// encode is a private key as OpenSSH keeps it.
func encode(key ed25519.PrivateKey) ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, fmt.Errorf("cannot encode a key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}

func (p *place) file(name string) string { return filepath.Join(p.dir, name) }

// help starts this command, or another build of it, as what a spec describes.
func (p *place) help(ctx context.Context, build, as string, spec any) (*kit.Helper, error) {
	content, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("cannot encode what to serve: %w", err)
	}
	p.made++
	name := p.file(fmt.Sprintf("spec-%d.json", p.made))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return nil, fmt.Errorf("cannot write what to serve: %w", err)
	}
	h, err := kit.StartHelper(ctx, build, "--"+as+"="+name)
	if err == nil {
		p.helpers = append(p.helpers, h)
	}
	return h, err
}

// readSpec reads what a helper is to serve.
func readSpec(name string, to any) error {
	content, err := os.ReadFile(filepath.Clean(name))
	if err == nil {
		err = json.Unmarshal(content, to)
	}
	if err != nil {
		return fmt.Errorf("cannot read what to serve: %w", err)
	}
	return nil
}
