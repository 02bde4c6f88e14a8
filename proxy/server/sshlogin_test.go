// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
	"github.com/doorward/doorward/test/sshd"
)

// eve lets everybody in as deploy, and is called what would forge a log.
type eve struct{ anybody }

func (eve) TargetRole(identity.Principal) (string, error) { return "deploy", nil }

func (eve) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return identity.Principal{
		Provider: "corp", UserName: "eve\n\x1b[2K\u202e session=data/other", ExpiresAt: time.Now().Add(time.Hour),
		Delegation: []identity.Actor{{Subject: "agent-7"}},
	}, nil
}

// TestSSHLogin goes the whole road to a real sshd, with the credential as its
// Secret holds it: in as whom policies say, and the target's own log names the
// caller and the session, whatever the caller is called (checklist 48, 49).
func TestSSHLogin(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	authority, err := ssh.NewSignerFromKey(key)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	must(t, err)
	content := pem.EncodeToMemory(block)
	target := sshd.StartT(t, sshd.Options{
		Accounts: []sshd.Account{{Name: "service"}, {Name: "deploy"}}, TrustedUserCAs: []ssh.PublicKey{authority.PublicKey()},
	})
	secret := upstream.NewKeys(map[string][]byte{
		"connection": []byte("shop"), "addresses": []byte(target.Address()), "username": []byte("service"), "ssh-ca-key": content,
	})
	gate, err := access.NewGate(access.Config{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"}, Log: recordtest.NewLog(), Approvals: anybody{},
		Dialer: &Dialer{Credentials: func(*snapshot.Snapshot) (upstream.CredentialSource, error) { return secret, nil }},
		TLS:    &tls.Config{MinVersion: tls.VersionTLS12},
		NewEngine: func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
			return policytest.Engine(eve{}), nil
		},
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return eve{}, nil },
	})
	must(t, err)
	defer gate.Close(access.ErrDraining)
	must(t, gate.Apply(t.Context(), &snapshot.Snapshot{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop", UID: "c-1", Generation: 1}, Revision: 1, MaxStalenessSeconds: 3600,
		Targets: []snapshot.Target{{Host: target.Host, Port: int32(target.Port)}},
	}))
	gate.Heartbeat(0)
	caller, err := gate.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000}).Authenticate(t.Context(), identity.BearerToken("token"))
	must(t, err)
	grant, err := caller.Authorize(t.Context())
	must(t, err)
	defer grant.Close("")

	var client *ssh.Client
	must(t, grant.Dial(t.Context(), func(ctx context.Context, up access.Upstream) error {
		signer, err := grant.SSHSigner(ctx, up, "permit-pty")
		if err != nil {
			return err
		}
		for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s %x %d", up, up, up, up.Credential, up.Credential, up.Credential), fmt.Sprintf("%+v %#v", signer, &signer)} {
			if strings.Contains(shown, string(content)) || strings.Contains(shown, strings.Trim(fmt.Sprintf("%d", key.Seed()), "[]")) {
				t.Errorf("the authority's key prints: %s", shown)
			}
		}
		conn, channels, requests, err := ssh.NewClientConn(up.Conn, target.Address(), &ssh.ClientConfig{
			User: grant.TargetUser(up), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(target.HostKey),
		})
		if err == nil {
			client = ssh.NewClient(conn, channels, requests)
		}
		return err
	}))
	defer client.Close()
	session, err := client.NewSession()
	must(t, err)
	out, err := session.Output("id -un")
	must(t, err)
	if got := strings.TrimSpace(string(out)); got != "deploy" {
		t.Errorf("in as %q, want the role that policies name", got)
	}
	line, err := target.AwaitLog(t.Context(), "Accepted publickey for deploy", "user=eve%0A%1B%5B2K%E2%80%AE%20session%3Ddata/other provider=corp actors=agent-7 session=data/"+grant.Session()+" (serial ")
	must(t, err)
	t.Log(line)
}
