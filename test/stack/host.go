// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/sshd"
)

// HostConnection leads to the shop's server, where a stack has one.
const HostConnection = "shop-host"

//go:embed shop/host.yaml
var hostObjects string

// Host is a server of the shop's: an sshd that trusts an authority for callers, and a proxy of
// its Connection.
type Host struct {
	*sshd.Server
	// Account is who callers are there.
	Account string
	Proxy   *Proxy
}

// StartHost starts an sshd and a proxy for it, until Stop. There is one of a stack.
func (s *Stack) StartHost(ctx context.Context, options ProxyOptions) (_ *Host, err error) {
	options.Connection = HostConnection
	public, authority, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority of users: %w", err)
	}
	trusted, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority of users: %w", err)
	}
	h := &Host{Account: "deploy"}
	// Whoever is not root can let nobody else in.
	if os.Geteuid() != 0 {
		me, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("cannot tell who starts sshd: %w", err)
		}
		h.Account = me.Username
	}
	if h.Server, err = sshd.Start(ctx, sshd.Options{
		Accounts: []sshd.Account{{Name: h.Account}}, TrustedUserCAs: []ssh.PublicKey{trusted}, LogPath: s.HostLog(),
	}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.hosts = append(s.hosts, h)
	s.mu.Unlock()
	if options.Port == 0 {
		if options.Port, err = proc.FreePort(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.installHost(ctx, h, authority, options.Port); err != nil {
		return nil, err
	}
	if h.Proxy, err = s.StartProxy(ctx, options); err != nil {
		return nil, err
	}
	for _, policy := range []string{"-analysts", "-on-call"} {
		err = errors.Join(err, s.AwaitPolicy(ctx, HostConnection, HostConnection+policy))
	}
	return h, err
}

// HostLog is the path of the server's own log.
func (s *Stack) HostLog() string { return filepath.Join(s.Dir, "sshd.log") }

func (s *Stack) installHost(ctx context.Context, h *Host, authority ed25519.PrivateKey, port int) error {
	block, err := ssh.MarshalPrivateKey(authority, "")
	if err != nil {
		return fmt.Errorf("cannot encode the authority's key: %w", err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: HostConnection + "-credential"},
		Type:       "doorward.dev/credential",
		StringData: map[string]string{
			"username": h.Account, "ssh-ca-key": string(pem.EncodeToMemory(block)), "connection": HostConnection, "addresses": h.Address(),
		},
	}
	if err := s.Admin.Create(ctx, secret); err != nil {
		return fmt.Errorf("cannot create Secret %q: %w", secret.Name, err)
	}
	return s.Apply(ctx, os.Expand(hostObjects, func(name string) string {
		switch name {
		case "CONNECTION":
			return HostConnection
		case "TARGET_PORT":
			return strconv.Itoa(h.Port)
		case "PROXY_PORT":
			return strconv.Itoa(port)
		case "HOST_KEY":
			return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.HostKey)))
		case "HOME":
			return h.Home()
		}
		return ""
	}))
}

// Home is the home folder of the account, as its programs see it.
func (h *Host) Home() string {
	if os.Geteuid() != 0 {
		if me, err := user.Current(); err == nil {
			return me.HomeDir
		}
	}
	return h.Server.Home(h.Account)
}
