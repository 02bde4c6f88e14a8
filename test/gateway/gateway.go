// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway serves one Connection the way the proxy does, without a
// control plane: the same gate, engine, dialer, server and protocol under a
// snapshot made by hand. [Postgres] and [SSH] say to what. Where it is given no policies, it allows
// everything, also what the analysis does not know, and masks nothing; it takes
// every token for one caller, and keeps no record. So whatever differs from a
// direct connection is the proxy's own doing: the suites of stock clients stand
// on it.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

// UserName is the one caller's.
const UserName = "alice@example.com"

// Config says what is served.
type Config struct {
	// Protocol is what is spoken, Options its spec.options.
	Protocol protocol.Protocol
	Options  any
	// Target is the server that is reached, TLS how.
	Target snapshot.Target
	TLS    snapshot.TLS
	// Credential are the keys of the stored credential's Secret.
	Credential map[string][]byte
	// Log is where records go; nowhere where nil.
	Log record.Log
	// Audit are the settings of spec.audit.
	Audit snapshot.Audit
	// Port to listen on; a free one where zero.
	Port int
	// Policies are in force, for UserName; nil allows everything. Masks that need
	// a key have one that is all zeroes.
	Policies []policy.Policy
	// Login are the providers that callers log in by, and how, as a manager has published
	// it; NewVerifier proves them, and DeviceLogins has them log in by a browser. Nil takes
	// every token and certificate for UserName.
	Login        *snapshot.Snapshot
	NewVerifier  access.NewVerifier
	DeviceLogins access.DeviceLogins
	// HostKey is the private key, as in a serving Secret, of what is shown to clients of
	// SSH; a new one where nil.
	HostKey []byte
}

// Gateway serves until Stop.
type Gateway struct {
	Host string
	Port int
	// CAPath trusts the certificate that is shown to clients of TLS, and
	// KnownHostsPath that of clients of SSH. They are valid for 127.0.0.1 and
	// localhost.
	CAPath, KnownHostsPath string
	// HostKey is the one that is shown to clients of SSH, with or without its certificate.
	HostKey gossh.PublicKey

	dir      string
	cancel   context.CancelFunc
	served   chan struct{}
	gate     *access.Gate
	snapshot *snapshot.Snapshot
}

const (
	namespace, connection = "shop", "shop-db"
	provider              = "company"
)

// Start serves a Connection until [Gateway.Stop]. The context bounds the start only.
func Start(ctx context.Context, c Config) (_ *Gateway, err error) {
	if c.Log == nil {
		c.Log = Forgetful{}
	}
	g := &Gateway{Host: proc.Loopback, served: make(chan struct{})}
	if g.dir, err = os.MkdirTemp("", "doorward-gateway-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(g.dir))
		}
	}()
	shown, err := g.certify(c.HostKey)
	if err != nil {
		return nil, err
	}
	gate, snap, err := c.gate(ctx, shown)
	if err != nil {
		return nil, err
	}
	g.gate, g.snapshot = gate, snap
	listener, err := server.Listen(ctx, net.JoinHostPort(g.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("cannot listen: no TCP address: %v", listener.Addr())
	}
	g.Port = address.Port
	serving, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	s := server.New(server.Options{Log: logr.Discard(), DrainTimeout: time.Second}, server.Endpoint{
		Name: namespace + "/" + connection, Listener: listener, Gate: gate, Handler: c.Protocol.NewHandler(),
	})
	go func() {
		defer close(g.served)
		beating := make(chan struct{})
		go func() {
			defer close(beating)
			beat(serving, gate)
		}()
		s.Run(serving)
		<-beating
	}()
	return g, nil
}

// Stop ends all sessions and waits for them.
func (g *Gateway) Stop() error {
	g.cancel()
	<-g.served
	return os.RemoveAll(g.dir)
}

// Apply puts other policies in force. It is not for use by several goroutines.
func (g *Gateway) Apply(ctx context.Context, policies []policy.Policy) error {
	next := *g.snapshot
	next.Revision, next.Time, next.Policies = next.Revision+1, time.Now(), policy.Set{Policies: policies}
	g.snapshot = &next
	return g.gate.Apply(ctx, &next)
}

// certify makes what is shown to clients.
func (g *Gateway) certify(hostKey []byte) (*server.CertificateDir, error) {
	authority, err := testcert.NewCA("doorward-gateway")
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue(testcert.Request{
		CommonName: "localhost", DNSNames: []string{"localhost"}, IPs: []net.IP{net.ParseIP(g.Host)},
	})
	if err != nil {
		return nil, err
	}
	if _, _, err := pair.Write(g.dir, "tls"); err != nil {
		return nil, err
	}
	g.CAPath = filepath.Join(g.dir, "ca.crt")
	// Clients that run as somebody else read it.
	err = errors.Join(os.Chmod(g.dir, 0o711), os.WriteFile(g.CAPath, authority.PEM, 0o644), g.certifyHost(hostKey))
	return &server.CertificateDir{Path: g.dir}, err
}

// gate is the road to the target.
func (c Config) gate(ctx context.Context, shown *server.CertificateDir) (*access.Gate, *snapshot.Snapshot, error) {
	options, err := json.Marshal(c.Options)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot encode the options: %w", err)
	}
	key, err := snapshot.NewMaskKey(make([]byte, snapshot.MaskKeySize))
	if err != nil {
		return nil, nil, err
	}
	policies := policy.Set{Policies: c.Policies}
	if c.Policies == nil {
		policies = everything()
	}
	s := &snapshot.Snapshot{
		Schema:     snapshot.Schema,
		Connection: snapshot.Connection{Namespace: namespace, Name: connection, UID: "uid-shop-db", Generation: 1},
		Revision:   1, Time: time.Now(), Protocol: c.Protocol.Name(),
		Targets: []snapshot.Target{c.Target}, TLS: c.TLS, Audit: c.Audit,
		Options: options, MaxStalenessSeconds: 3600,
		IdentityProviders: []snapshot.IdentityProvider{{Name: provider, Type: "OIDC"}},
		Policies:          policies, MaskKey: key,
	}
	newVerifier := c.NewVerifier
	if newVerifier == nil {
		newVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return anybody{}, nil }
	}
	if c.Login != nil {
		s.IdentityProviders, s.Login = c.Login.IdentityProviders, c.Login.Login
	}
	bound := maps.Clone(c.Credential)
	bound["connection"] = []byte(connection)
	bound["addresses"] = []byte(net.JoinHostPort(c.Target.Host, strconv.Itoa(int(c.Target.Port))))
	keys := upstream.NewKeys(bound)
	gate, err := access.NewGate(access.Config{
		Connection: s.Connection, Log: c.Log, NewEngine: rego.NewEngine,
		NewVerifier: newVerifier, DeviceLogins: c.DeviceLogins,
		Approvals: nobody{},
		Dialer:    &server.Dialer{Credentials: func(*snapshot.Snapshot) (upstream.CredentialSource, error) { return keys, nil }},
		TLS:       server.TLS(shown), HostKeys: shown.HostKeys,
	})
	if err != nil {
		return nil, nil, err
	}
	err = gate.Apply(ctx, s)
	return gate, s, err
}

// everything allows all of the vocabulary, and what is unknown by name.
func everything() policy.Set {
	return policy.Set{Policies: []policy.Policy{{
		Name: "everything", UID: "uid-everything", Generation: 1,
		Subjects: []policy.Subject{{Kind: "User", Name: UserName}},
		Rules:    []policy.Rule{{Name: "all", Effect: policy.Allow, Actions: []string{"*", policy.ActionUnknown}, Resources: []string{"*"}}},
	}}}
}

// beat keeps the gate open: what is served does not change.
func beat(ctx context.Context, gate *access.Gate) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		gate.Heartbeat(0)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// anybody takes every token for the one caller.
type anybody struct{}

func (anybody) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return Caller(), nil
}

// Caller is UserName, proven for a day.
func Caller() identity.Principal {
	return identity.Principal{
		Provider: provider, Issuer: "https://issuer.example.com", Subject: "alice", UserName: UserName, KubernetesUser: "oidc:" + UserName,
		Kind: identity.Human, Method: "oidc", ExpiresAt: time.Now().Add(24 * time.Hour),
	}
}

// nobody approves nothing: no rule asks for it.
type nobody struct{}

func (nobody) Ask(context.Context, access.Question) (access.Pending, error) {
	return nil, errors.New("nobody approves anything here")
}

// Forgetful is a log that keeps no record, and encodes none.
type Forgetful struct{}

// Append keeps nothing.
func (Forgetful) Append(context.Context, record.Event) (record.Position, error) {
	return record.Position{}, nil
}

// Begin keeps nothing.
func (f Forgetful) Begin(context.Context, record.Event) (record.Pending, error) { return f, nil }

// Wait waits for nothing.
func (Forgetful) Wait(context.Context) (record.Position, error) { return record.Position{}, nil }

// AppendLater keeps nothing.
func (Forgetful) AppendLater(record.Event) error { return nil }
