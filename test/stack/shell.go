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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/sshd"
)

//go:embed shop/shell.yaml
var shellObjects string

// trustHostsKey is where the trust bundle has the lines of known_hosts.
const trustHostsKey = "known_hosts"

// Shell is a Connection of protocol ssh, with the sshd behind it and a proxy before it. The
// proxy's credential is an authority of users, so that the target's log names the callers.
type Shell struct {
	// Connection is the name of it.
	Connection string
	// Account at the target: that of whoever runs this, as which sshd lets in without root.
	Account string
	Target  *sshd.Server
	// Proxy is the first of the Connection; StartProxy starts more.
	Proxy *Proxy
	// KnownHosts is a file of what the manager publishes for clients.
	KnownHosts string
	// Canary is a line of the credential's private key, to be found nowhere.
	Canary string

	port int
}

// StartShell starts a Shell that ends with the stack. Args are appended to the proxy's command
// line. There are no policies for it.
func (s *Stack) StartShell(ctx context.Context, connection string, args ...string) (_ *Shell, err error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("cannot tell who runs this: %w", err)
	}
	h := &Shell{Connection: connection, Account: me.Username, KnownHosts: filepath.Join(s.Dir, "known_hosts")}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority of users: %w", err)
	}
	authority, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority of users: %w", err)
	}
	if h.Target, err = sshd.Start(ctx, sshd.Options{
		Accounts: []sshd.Account{{Name: h.Account}}, TrustedUserCAs: []ssh.PublicKey{authority},
		LogPath: filepath.Join(s.Dir, "sshd-"+connection+".log"),
	}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.targets = append(s.targets, h.Target)
	s.mu.Unlock()
	if h.port, err = proc.FreePort(ctx); err != nil {
		return nil, err
	}
	if err := s.installShell(ctx, h, private); err != nil {
		return nil, err
	}
	if h.Proxy, err = s.StartProxy(ctx, ProxyOptions{Connection: connection, Port: h.port, Args: args}); err != nil {
		return nil, err
	}
	if err := s.WaitReady(ctx, connection); err != nil {
		return nil, err
	}
	return h, s.writeKnownHosts(ctx, h.KnownHosts)
}

// installShell creates its Connection and credential.
func (s *Stack) installShell(ctx context.Context, h *Shell, authority ed25519.PrivateKey) error {
	block, err := ssh.MarshalPrivateKey(authority, "")
	if err != nil {
		return fmt.Errorf("cannot encode the authority's key: %w", err)
	}
	key := string(pem.EncodeToMemory(block))
	h.Canary = strings.Split(key, "\n")[2]
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: h.Connection + "-credential"},
		Type:       "doorward.dev/credential",
		StringData: map[string]string{"username": h.Account, "connection": h.Connection, "addresses": h.Target.Address(), "ssh-ca-key": key},
	}
	if err := s.Admin.Create(ctx, secret); err != nil {
		return fmt.Errorf("cannot create the credential: %w", err)
	}
	return s.Apply(ctx, os.Expand(shellObjects, func(name string) string {
		switch name {
		case "NAME":
			return h.Connection
		case "TARGET_PORT":
			return strconv.Itoa(h.Target.Port)
		case "PROXY_PORT":
			return strconv.Itoa(h.port)
		case "MAX_STALENESS_SECONDS":
			return strconv.Itoa(s.options.MaxStalenessSeconds)
		case "HOST_KEY":
			return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.Target.HostKey)))
		}
		return ""
	}))
}

// writeKnownHosts keeps what the manager publishes for clients of SSH.
func (s *Stack) writeKnownHosts(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	return Await(ctx, func(ctx context.Context) error {
		var bundle corev1.ConfigMap
		if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: trustBundle}, &bundle); err != nil {
			return fmt.Errorf("no trust bundle yet: %w", err)
		}
		lines := bundle.Data[trustHostsKey]
		if lines == "" {
			return errors.New("the trust bundle has no authority of SSH host keys yet")
		}
		if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
			return fmt.Errorf("cannot write known_hosts: %w", err)
		}
		return nil
	})
}
