// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/ed25519"
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

//go:embed shop/host.yaml
var hostObjects string

// trustHostsKey is where the trust bundle has the lines of known_hosts.
const trustHostsKey = "known_hosts"

// HostOptions say how a Host is started.
type HostOptions struct {
	// Connection is the name of the one to make.
	Connection string
	// Account at the target; that of whoever runs this where empty, and without root.
	Account string
	// ProxyArgs are appended to the proxy's command line.
	ProxyArgs []string
}

// Host is a Connection of protocol ssh, with the sshd behind it and a proxy before it. The
// proxy's credential is an authority of users, so that the target's log names the callers.
type Host struct {
	// Account is who callers are at the target.
	Account string
	Target  *sshd.Server
	// Proxy is the first of the Connection; StartProxy starts more.
	Proxy *Proxy
	// KnownHosts is a file of what the manager publishes for clients.
	KnownHosts string
	// Canary is a line of the credential's private key, to be found nowhere.
	Canary string
}

// StartHost starts a Host that ends with the stack. There are no policies for it.
func (s *Stack) StartHost(ctx context.Context, options HostOptions) (*Host, error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("cannot tell who starts sshd: %w", err)
	}
	h := &Host{Account: options.Account, KnownHosts: filepath.Join(s.Dir, "known_hosts")}
	if h.Account == "" || os.Geteuid() != 0 {
		h.Account = me.Username
	}
	authority, trusted, err := sshd.NewAuthority()
	if err != nil {
		return nil, err
	}
	if h.Target, err = sshd.Start(ctx, sshd.Options{
		Accounts: []sshd.Account{{Name: h.Account}}, TrustedUserCAs: []ssh.PublicKey{trusted},
		LogPath: filepath.Join(s.Dir, "sshd-"+options.Connection+".log"),
	}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.hosts = append(s.hosts, h)
	s.mu.Unlock()
	port, err := proc.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.installHost(ctx, h, options.Connection, authority, port); err != nil {
		return nil, err
	}
	if h.Proxy, err = s.StartProxy(ctx, ProxyOptions{Connection: options.Connection, Port: port, Args: options.ProxyArgs}); err != nil {
		return nil, err
	}
	if err := s.WaitReady(ctx, options.Connection); err != nil {
		return nil, err
	}
	return h, s.writeKnownHosts(ctx, h.KnownHosts)
}

// installHost creates the Connection and its credential.
func (s *Stack) installHost(ctx context.Context, h *Host, connection string, authority ed25519.PrivateKey, port int) error {
	block, err := ssh.MarshalPrivateKey(authority, "")
	if err != nil {
		return fmt.Errorf("cannot encode the authority's key: %w", err)
	}
	key := string(pem.EncodeToMemory(block))
	h.Canary = strings.Split(key, "\n")[2]
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: connection + "-credential"},
		Type:       "doorward.dev/credential",
		StringData: map[string]string{"username": h.Account, "ssh-ca-key": key, "connection": connection, "addresses": h.Target.Address()},
	}
	if err := s.Admin.Create(ctx, secret); err != nil {
		return fmt.Errorf("cannot create Secret %q: %w", secret.Name, err)
	}
	values := map[string]string{
		"CONNECTION": connection, "TARGET_PORT": strconv.Itoa(h.Target.Port), "PROXY_PORT": strconv.Itoa(port),
		"MAX_STALENESS_SECONDS": strconv.Itoa(s.options.MaxStalenessSeconds),
		"HOST_KEY":              strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.Target.HostKey))),
	}
	return s.Apply(ctx, os.Expand(hostObjects, func(name string) string { return values[name] }))
}

// Home is the home folder of the account, as its programs see it.
func (h *Host) Home() string {
	if os.Geteuid() != 0 {
		if me, err := user.Current(); err == nil {
			return me.HomeDir
		}
	}
	return h.Target.Home(h.Account)
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
