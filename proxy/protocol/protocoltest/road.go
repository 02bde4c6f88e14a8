// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protocoltest is the kit that every protocol passes. It puts fakes
// behind the ports of a real access.Gate, serves a protocol on it, and checks
// what no protocol may get wrong, whatever its words: Run.
package protocoltest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/testcert"
)

// The caller that the fake verifier knows, by Token.
const (
	Token    = "good-token"
	UserName = "alice@example.com"
)

// Road is a gate with fakes behind its ports.
type Road struct {
	Gate      *access.Gate
	Log       *recordtest.Log
	Engine    *Engine
	Approvals *Approvals
	Dialer    *Dialer
	// RootCAs and CAPEM trust the certificate shown to clients, which is valid
	// for 127.0.0.1 and localhost.
	RootCAs *x509.CertPool
	CAPEM   []byte

	mu   sync.Mutex
	last snapshot.Snapshot
}

// Config is what a Road leads to.
type Config struct {
	Protocol protocol.Protocol
	// Namespace and Name are the Connection's; shop and orders where empty.
	Namespace, Name string
	Options         json.RawMessage
	Target          snapshot.Target
	TLS             snapshot.TLS
	Username        string
	Password        string
	// Certificate is the client certificate of the credential; nil where it has none.
	Certificate *tls.Certificate
	// SSHSigner is that of the credential, which is none for SSH where it is nil.
	SSHSigner func(context.Context, access.SSHLogin) (ssh.Signer, error)
	// MoreTargets come after Target.
	MoreTargets []snapshot.Target
	// IdentityProviders are named by the snapshot; the verifier knows one token all the same.
	IdentityProviders []snapshot.IdentityProvider
	Session           snapshot.Session
	Audit             snapshot.Audit
	// Log is used instead of one in memory.
	Log record.Log
	// Siblings are the live proxies of the Connection.
	Siblings func(context.Context) ([]access.Sibling, error)
	// Trouble, where set, is what operators are told.
	Trouble func(refusal string, cause error)
	// Login and NewVerifier, where set, prove callers by more than the one token.
	Login       snapshot.Login
	NewVerifier access.NewVerifier
	// HostKeys, where set, are the SSH host keys of the gate.
	HostKeys func() ([]ssh.Signer, error)
	// DeviceLogins, where set, begin logins by a browser; Login.Portal says that there is one.
	DeviceLogins access.DeviceLogins
}

// New makes an open gate. Everything is allowed until the Engine says otherwise.
func New(tb testing.TB, c Config) *Road {
	tb.Helper()
	ca, err := testcert.NewCA("doorward-protocoltest")
	if err != nil {
		tb.Fatal(err)
	}
	pair, err := ca.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Road{
		Log: recordtest.NewLog(), Engine: &Engine{}, Approvals: newApprovals(),
		Dialer: &Dialer{username: c.Username, password: c.Password, certificate: c.Certificate, sshSigner: c.SSHSigner}, RootCAs: x509.NewCertPool(), CAPEM: ca.PEM,
	}
	r.RootCAs.AppendCertsFromPEM(ca.PEM)
	var log record.Log = r.Log
	if c.Log != nil {
		log = c.Log
	}
	if c.TLS.Mode == "" {
		c.TLS.Mode = "Disabled"
	}
	maskKey, err := snapshot.NewMaskKey(bytes.Repeat([]byte("k"), snapshot.MaskKeySize))
	if err != nil {
		tb.Fatal(err)
	}
	connection := snapshot.Connection{Namespace: cmp.Or(c.Namespace, "shop"), Name: cmp.Or(c.Name, "orders"), Generation: 1}
	connection.UID = "uid-" + connection.Name
	r.last = snapshot.Snapshot{
		MaskKey:    maskKey,
		Schema:     snapshot.Schema,
		Connection: connection,
		Time:       time.Now(), Protocol: c.Protocol.Name(), Targets: append([]snapshot.Target{c.Target}, c.MoreTargets...), TLS: c.TLS,
		Options: c.Options, Session: c.Session, Audit: c.Audit, MaxStalenessSeconds: 3600,
		IdentityProviders: c.IdentityProviders, Login: c.Login,
	}
	if c.NewVerifier == nil {
		c.NewVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return OneToken{}, nil }
	}
	r.Gate, err = access.NewGate(access.Config{
		Connection: r.last.Connection, Log: log,
		NewEngine: func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
			return policytest.Engine(r.Engine.freeze()), nil
		},
		NewVerifier: c.NewVerifier, Approvals: r.Approvals, Dialer: r.Dialer, Instance: "test-0", Siblings: c.Siblings, Trouble: c.Trouble, HostKeys: c.HostKeys, DeviceLogins: c.DeviceLogins,
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		tb.Fatal(err)
	}
	r.Apply(tb)
	r.Gate.Heartbeat(0)
	tb.Cleanup(func() { r.Gate.Close(access.ErrDraining) })
	return r
}

// Apply puts what the Engine says now in force, as a new revision, with changes to the
// rest of the snapshot.
func (r *Road) Apply(tb testing.TB, change ...func(*snapshot.Snapshot)) {
	tb.Helper()
	r.mu.Lock()
	r.last.Revision++
	for _, c := range change {
		c(&r.last)
	}
	next := r.last
	r.mu.Unlock()
	if err := r.Gate.Apply(tb.Context(), &next); err != nil {
		tb.Fatal(err)
	}
}

// Snapshot is the one in force.
func (r *Road) Snapshot() *snapshot.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.last
	return &last
}

// Server serves a protocol on a Road.
type Server struct {
	Address string
	cancel  context.CancelCauseFunc
	done    chan struct{}
	once    sync.Once
	ln      net.Listener
}

// Listen serves until the test ends or Stop is called. A Serve that does not
// return soon after its context has ended fails the test. Clients may be led to those
// that are named, too.
func (r *Road) Listen(tb testing.TB, p protocol.Protocol, named ...*Road) *Server {
	tb.Helper()
	gates := make([]*access.Gate, 0, len(named))
	for _, other := range named {
		gates = append(gates, other.Gate)
	}
	var listen net.ListenConfig
	ln, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &Server{Address: ln.Addr().String(), cancel: cancel, done: make(chan struct{}), ln: ln}
	handler := p.NewHandler()
	go func() {
		defer close(s.done)
		var serving sync.WaitGroup
		defer serving.Wait()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				entry := r.Gate.Entry(conn.RemoteAddr())
				entry.Offer(gates)
				_ = handler.Serve(ctx, conn, entry)
			})
		}
	}()
	tb.Cleanup(func() { s.Stop(tb, access.ErrDraining) })
	return s
}

// stopBound is how long Serve may take to return once its context has ended.
const stopBound = 5 * time.Second

// Stop ends the server with a cause and waits for its connections.
func (s *Server) Stop(tb testing.TB, cause error) {
	tb.Helper()
	s.once.Do(func() {
		_ = s.ln.Close()
		s.cancel(cause)
	})
	select {
	case <-s.done:
	case <-time.After(stopBound):
		tb.Errorf("Serve did not return within %v of the end of its context", stopBound)
	}
}

// Wait waits for all connections to be over. The listener takes no more.
func (s *Server) Wait() {
	_ = s.ln.Close()
	<-s.done
}

// OneToken is a Verifier that knows Token.
type OneToken struct{}

// Verify implements identity.Verifier.
func (OneToken) Verify(_ context.Context, credential identity.Credential) (identity.Principal, error) {
	if credential.Token() != Token {
		return identity.Principal{}, fmt.Errorf("%w: unknown token", identity.ErrRejected)
	}
	return identity.Principal{
		Provider: "test", Issuer: "https://issuer.example.com", Subject: "subject-alice", UserName: UserName,
		KubernetesUser: "oidc:" + UserName, Groups: []string{"analysts"}, Kind: identity.Human, Method: "oidc",
		ExpiresAt: time.Now().Add(time.Hour),
	}, nil
}

// Dialer dials the snapshot's first target and counts.
type Dialer struct {
	username, password string
	certificate        *tls.Certificate
	sshSigner          func(context.Context, access.SSHLogin) (ssh.Signer, error)

	mu    sync.Mutex
	dials int
	err   error
}

// Dials is how often the target was dialled.
func (d *Dialer) Dials() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dials
}

// Fail makes every dial fail; nil makes it work again.
func (d *Dialer) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// Dial implements access.Dialer.
func (d *Dialer) Dial(ctx context.Context, s *snapshot.Snapshot) (access.Upstream, error) {
	d.mu.Lock()
	d.dials++
	err := d.err
	d.mu.Unlock()
	if err != nil {
		return access.Upstream{}, err
	}
	if len(s.Targets) == 0 {
		return access.Upstream{}, errors.New("no target")
	}
	target := s.Targets[0]
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(target.Host, fmt.Sprint(target.Port)))
	if err != nil {
		return access.Upstream{}, err
	}
	return access.Upstream{Conn: conn, Target: target, Credential: credential{d.username, d.password, d.certificate, d.sshSigner}}, nil
}

type credential struct {
	username, password string
	certificate        *tls.Certificate
	sshSigner          func(context.Context, access.SSHLogin) (ssh.Signer, error)
}

func (c credential) Username() string              { return c.username }
func (c credential) Password() string              { return c.password }
func (c credential) Certificate() *tls.Certificate { return c.certificate }

func (c credential) SSHSigner(ctx context.Context, login access.SSHLogin) (ssh.Signer, error) {
	if c.sshSigner == nil {
		return nil, nil //nolint:nilnil // what TargetCredential says where there is none
	}
	return c.sshSigner(ctx, login)
}
