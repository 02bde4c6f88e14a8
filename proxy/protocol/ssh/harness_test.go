// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is a password that must appear nowhere (checklist 49).
const canary = "canary-77c1d09e"

// bench is a proxy in front of a real sshd.
type bench struct {
	*protocoltest.Road
	server  *protocoltest.Server
	daemon  *daemon
	hostKey ssh.Signer
	// authority signs the certificates of callers.
	authority ssh.Signer
	dir       string
}

// sshVerifier knows the one token, and certificates of an authority; the key id is the user name.
type sshVerifier struct {
	protocoltest.OneToken
	authority ssh.PublicKey
}

func (v sshVerifier) Verify(ctx context.Context, credential identity.Credential) (identity.Principal, error) {
	blob := credential.SSHPublicKey()
	if blob == nil {
		return v.OneToken.Verify(ctx, credential)
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return identity.Principal{}, identity.ErrRejected
	}
	certificate, ok := key.(*ssh.Certificate)
	if !ok || !bytes.Equal(certificate.SignatureKey.Marshal(), v.authority.Marshal()) {
		return identity.Principal{}, identity.ErrForeign
	}
	checker := &ssh.CertChecker{SupportedCriticalOptions: []string{sourceAddress}}
	if err := checker.CheckCert(certificate.ValidPrincipals[0], certificate); err != nil {
		return identity.Principal{}, fmt.Errorf("%w: %w", identity.ErrRejected, err)
	}
	who, err := v.OneToken.Verify(ctx, identity.BearerToken(protocoltest.Token))
	who.UserName, who.Subject, who.Method = certificate.KeyId, certificate.KeyId, "ssh"
	return who, err
}

// newBench starts all of it. Options are merged into spec.options.
func newBench(tb testing.TB, d *daemon, edit ...func(*protocoltest.Config, map[string]any)) *bench {
	tb.Helper()
	b := &bench{daemon: d, dir: tb.TempDir()}
	b.hostKey, _ = newKey(tb)
	b.authority, _ = newKey(tb)
	options := map[string]any{"hostKeys": []string{d.hostKey}, "shell": "dash"}
	c := protocoltest.Config{
		Protocol: New(), Target: d.target, Username: loginUser, Password: canary,
		HostKeys:  func() ([]ssh.Signer, error) { return []ssh.Signer{b.hostKey}, nil },
		SSHSigner: func(context.Context, access.SSHLogin) (ssh.Signer, error) { return d.key, nil },
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) {
			return sshVerifier{authority: b.authority.PublicKey()}, nil
		},
	}
	for _, e := range edit {
		e(&c, options)
	}
	raw, err := json.Marshal(options)
	if err != nil {
		tb.Fatal(err)
	}
	c.Options = raw
	b.Road = protocoltest.New(tb, c)
	write(tb, filepath.Join(b.dir, "askpass"), []byte("#!/bin/sh\necho "+protocoltest.Token+"\n"), 0o700)
	b.serve(tb)
	tb.Cleanup(func() {
		if tb.Failed() {
			for _, e := range b.Log.Events() {
				switch {
				case e.Operation != nil && e.Decision != nil:
					tb.Logf("%s %d %s %q %v: %s %s", e.Type, e.OperationID, e.Operation.Kind, e.Operation.Statement, e.Operation.Accesses, e.Decision.Effect, e.Decision.Message)
				default:
					tb.Logf("%s %d %+v %s", e.Type, e.OperationID, e.Result, e.Reason)
				}
			}
		}
	})
	return b
}

// serve listens, for clients who may name the Connections of others too, and has OpenSSH's
// client come there.
func (b *bench) serve(tb testing.TB, named ...*protocoltest.Road) {
	tb.Helper()
	b.server = b.Listen(tb, New(), named...)
	host, port, _ := net.SplitHostPort(b.server.Address)
	write(tb, filepath.Join(b.dir, "known_hosts"), []byte(fmt.Sprintf("[%s]:%s %s\n", host, port, authorizedKey(b.hostKey.PublicKey()))), 0o600)
	write(tb, filepath.Join(b.dir, "config"), []byte(strings.Join([]string{
		"UserKnownHostsFile " + filepath.Join(b.dir, "known_hosts"), "StrictHostKeyChecking yes", "GlobalKnownHostsFile none",
		"PreferredAuthentications password", "NumberOfPasswordPrompts 1", "IdentityAgent none", "User " + loginUser, "Port " + port, "",
	}, "\n")), 0o600)
}

// allow has the engine allow operations all of whose accesses are among those named, as "action"
// or "action resource", and deny the rest.
func (b *bench) allow(tb testing.TB, names ...string) {
	tb.Helper()
	b.Engine.Set(func(op policy.Operation) policy.Decision {
		for _, a := range op.Accesses {
			if a.Indirect {
				continue
			}
			found := false
			for _, name := range names {
				action, resource, specific := strings.Cut(name, " ")
				found = found || action == a.Action && (!specific || policy.Match(resource, a.Resource))
			}
			if !found {
				return policy.Decision{Effect: policy.Deny, Access: a}
			}
		}
		return policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{protocoltest.Rule}}
	})
	b.Apply(tb)
}

// deadline bounds a test.
func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 90*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

// ssh is OpenSSH's client, which gives the token as its password.
func (b *bench) ssh(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	return b.client(tb, "ssh", args...)
}

func (b *bench) client(tb testing.TB, program string, args ...string) *exec.Cmd {
	tb.Helper()
	host, _, _ := net.SplitHostPort(b.server.Address)
	args = append([]string{"-F", filepath.Join(b.dir, "config")}, args...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "GATEWAY", host)
	}
	command := exec.CommandContext(deadline(tb), program, args...)
	command.Env = append(os.Environ(), "SSH_ASKPASS="+filepath.Join(b.dir, "askpass"), "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none:0")
	command.WaitDelay = 10 * time.Second
	return command
}

// finish runs a client to its end.
func finish(tb testing.TB, command *exec.Cmd, stdin string) (stdout, stderr string, status int) {
	tb.Helper()
	var out, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("%v: %v\n%s", command.Args, err, &errs)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

// dial is a client of the library, with the token.
func (b *bench) dial(tb testing.TB, edit ...func(*ssh.ClientConfig)) (*ssh.Client, error) {
	tb.Helper()
	config := &ssh.ClientConfig{
		User: loginUser, Auth: []ssh.AuthMethod{ssh.Password(protocoltest.Token)},
		HostKeyCallback: ssh.FixedHostKey(b.hostKey.PublicKey()), Timeout: 30 * time.Second,
	}
	for _, e := range edit {
		e(config)
	}
	client, err := ssh.Dial("tcp", b.server.Address, config)
	if err == nil {
		tb.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func (b *bench) mustDial(tb testing.TB, edit ...func(*ssh.ClientConfig)) *ssh.Client {
	tb.Helper()
	client, err := b.dial(tb, edit...)
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// certificate is one of a user, signed by an authority, on a new key.
func certificate(tb testing.TB, authority ssh.Signer, name string, edit ...func(*ssh.Certificate)) ssh.Signer {
	tb.Helper()
	key, _ := newKey(tb)
	c := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: name, ValidPrincipals: []string{name},
		ValidAfter: uint64(time.Now().Add(-time.Minute).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	for _, e := range edit {
		e(c)
	}
	if err := c.SignCert(rand.Reader, authority); err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(c, key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// decided returns the decisions on record by statement.
func (b *bench) decided() map[string]string {
	found := map[string]string{}
	for _, e := range b.Log.OfType(record.OperationDecided) {
		found[e.Operation.Statement] = string(e.Decision.Effect)
	}
	return found
}

// recordings returns what is on record of terminals.
func (b *bench) recordings() (parts []*record.Recording) {
	for _, e := range b.Log.Events() {
		if e.Recording != nil {
			parts = append(parts, e.Recording)
		}
	}
	return parts
}

// result awaits the result of the operation with a statement.
func (b *bench) result(tb testing.TB, statement string) record.Result {
	tb.Helper()
	ctx := deadline(tb)
	decided := b.Log.Await(ctx, tb, "decision on "+statement, func(e record.Event) bool {
		return e.Type == record.OperationDecided && e.Operation.Statement == statement
	})
	return *b.Log.Await(ctx, tb, "result of "+statement, func(e record.Event) bool {
		return e.Type == record.OperationResult && e.OperationID == decided.OperationID && e.Session == decided.Session
	}).Result
}
