// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/sshhost"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// hostKey is what a proxy shows.
func hostKey(t *testing.T, proxy *stack.Proxy) (shown *ssh.Certificate) {
	t.Helper()
	enough := errors.New("enough is known")
	_, err := ssh.Dial("tcp", proxy.Address, &ssh.ClientConfig{
		User: "somebody", Timeout: stacktest.Timeout, HostKeyAlgorithms: []string{ssh.CertAlgoED25519v01},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shown, _ = key.(*ssh.Certificate)
			return enough
		},
	})
	if shown == nil {
		t.Fatalf("no certified host key: %v", err)
	}
	return shown
}

// TestHostKey: checklist 6: OpenSSH knows the proxy by what the manager publishes, and by nothing
// else; after a restart and at another replica it is the same key.
func TestHostKey(t *testing.T) {
	proxy := stacktest.StartProxy(t, world, stack.ProxyOptions{Connection: connection})
	first := hostKey(t, web.Proxy)
	if first.KeyId != stack.Namespace+"/"+connection {
		t.Errorf("the certificate is for %q", first.KeyId)
	}
	same := func(what string) {
		t.Helper()
		if now := hostKey(t, proxy); !bytes.Equal(now.Key.Marshal(), first.Key.Marshal()) {
			t.Errorf("%s: the host key is %s, and was %s", what, ssh.FingerprintSHA256(now.Key), ssh.FingerprintSHA256(first.Key))
		}
		ann := by("ann")
		ann.proxy = proxy
		ann.runs(t, "echo in").wants(t, 0, "in\n")
	}
	same("at the second replica")
	stacktest.Must(t, proxy.Stop())
	stacktest.Must(t, proxy.Start(t.Context()))
	same("after a restart")

	// The wrong authority has a line with the same patterns.
	published, err := os.ReadFile(web.KnownHosts)
	stacktest.Must(t, err)
	_, patterns, _, _, _, err := ssh.ParseKnownHosts(published) //nolint:dogsled // the patterns alone
	stacktest.Must(t, err)
	foreign := strings.Replace(sshhost.NewAuthority(t).KnownHosts(), "*", strings.Join(patterns, ","), 1)
	for name, known := range map[string]string{"Nobody": "", "AnotherAuthority": foreign, "Revoked": string(published) + strings.ReplaceAll(string(published), "@cert-authority", "@revoked")} {
		t.Run(name, func(t *testing.T) {
			ann := by("ann")
			ann.known = filepath.Join(t.TempDir(), "known_hosts")
			stacktest.Must(t, os.WriteFile(ann.known, []byte(known), 0o600))
			ann.runs(t, "echo in").wants(t, 255, "Host key verification failed")
		})
	}
}
