// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/test/sshhost"
)

// TestHostKeys: OpenSSH's client believes what a protocol shows of its Entry, also when it
// was renewed meanwhile.
func TestHostKeys(t *testing.T) {
	w := newWorld(t, allowing)
	authority, key := sshhost.NewAuthority(t), sshhost.Key(t)
	var name atomic.Pointer[string]
	name.Store(new("elsewhere.svc"))
	w.gate.config.HostKeys = func() ([]ssh.Signer, error) { return hostkey.Parse(key, authority.Certify(t, key, *name.Load())) }
	server := sshhost.Listen(t, func() ([]ssh.Signer, error) { return w.entry().HostKeys() })
	login := sshhost.Login{Host: "localhost", KnownHosts: authority.KnownHosts()}
	if err := sshhost.Refused(server.OpenSSH(t, login)); err != nil {
		t.Errorf("by another name: %v", err)
	}
	name.Store(new("localhost"))
	if err := server.OpenSSH(t, login); err != nil {
		t.Errorf("by the name of the certificate: %v", err)
	}
	if err := sshhost.Refused(server.OpenSSH(t, sshhost.Login{Host: "localhost", KnownHosts: sshhost.NewAuthority(t).KnownHosts()})); err != nil {
		t.Errorf("with another authority: %v", err)
	}
}

func TestNoHostKeys(t *testing.T) {
	tests := map[string]struct {
		reason string
		keys   func() ([]ssh.Signer, error)
	}{
		"NoSource": {"The proxy was not given any.", nil},
		"Fails":    {"The Secret is not there yet.", func() ([]ssh.Signer, error) { return nil, errBoom }},
		"Empty":    {"A server without keys would panic, or let a client in without any.", func() ([]ssh.Signer, error) { return nil, nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.gate.config.HostKeys = tc.keys
			keys, err := w.entry().HostKeys()
			if err == nil || keys != nil || !strings.Contains(err.Error(), "kubectl -n data describe connection shop") {
				t.Errorf("%s: %v, %v, want an error with the remedy", tc.reason, keys, err)
			}
			if name == "Fails" && !errors.Is(err, errBoom) {
				t.Errorf("%s: %v hides the cause", tc.reason, err)
			}
		})
	}
}
