// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/gateway"
)

// forgetful is a log that encodes records and keeps none: what is left of the
// proxy is the road without the record. Nothing of the product can be told to
// do so.
type forgetful struct{}

var bodies = sync.Pool{New: func() any { return new([]byte) }}

func (f forgetful) Append(_ context.Context, event record.Event) (record.Position, error) {
	return record.Position{}, f.AppendLater(event)
}

func (f forgetful) Begin(_ context.Context, event record.Event) (record.Pending, error) {
	return f, f.AppendLater(event)
}

func (forgetful) Wait(context.Context) (record.Position, error) { return record.Position{}, nil }

func (forgetful) AppendLater(event record.Event) error {
	body, ok := bodies.Get().(*[]byte)
	if !ok {
		return errors.New("internal error: pool")
	}
	*body = record.AppendBody((*body)[:0], &event)
	bodies.Put(body)
	return nil
}

// What a partial proxy does with records.
const (
	logNothing = "Nothing"
	logEncode  = "Encode"
	// logSpool is the product's own log, in a folder and without sinks.
	logSpool = "Spool"
)

// partialSpec is what a process that serves with parts of the proxy is given.
type partialSpec struct {
	// Snapshot is the manager's, or one made by hand.
	Snapshot *snapshot.Snapshot
	// Credential is the data of that Connection's Secret.
	Credential map[string][]byte
	// Certificates has the pair that is shown to clients.
	Certificates string
	// Groups are the caller's.
	Groups []string
	// Log is what becomes of records; Spool is the folder of logSpool.
	Log, Spool string
	// AllowAll replaces the engine by one that allows everything and masks nothing.
	AllowAll bool
}

// servePartial serves one Connection as the proxy does, with the same packages
// and TLS, but for what the spec leaves out. It takes whoever comes for the one
// caller, since who that is matters once a session only. It says the addresses
// of the Connection and of what it tells of itself on standard output.
func servePartial(ctx context.Context, specPath string) (err error) {
	content, err := os.ReadFile(specPath)
	if err != nil {
		return fmt.Errorf("cannot read what to serve: %w", err)
	}
	var spec partialSpec
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("cannot read what to serve: %w", err)
	}
	debug.SetGCPercent(400) // as the proxy does
	var log record.Log
	switch spec.Log {
	case logNothing:
		log = gateway.Forgetful{} // what is left is the protocol
	case logSpool:
		opened, openErr := spool.Open(ctx, spool.Options{Dir: spec.Spool})
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, opened.Close()) }()
		log = opened
	default:
		log = forgetful{}
	}
	engine := rego.NewEngine
	if spec.AllowAll {
		engine = func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
			return policytest.Engine(allowAll{}), nil
		}
	}
	keys := upstream.NewKeys(spec.Credential)
	gate, err := access.NewGate(access.Config{
		Connection: spec.Snapshot.Connection, Log: log, NewEngine: engine,
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) {
			return anybody{provider: spec.Snapshot.IdentityProviders[0].Name, groups: spec.Groups}, nil
		},
		Approvals: nobody{},
		Dialer:    &server.Dialer{Credentials: func(*snapshot.Snapshot) (upstream.CredentialSource, error) { return keys, nil }},
		TLS:       server.TLS(&server.CertificateDir{Path: spec.Certificates}),
		Observers: []access.Observer{server.NewMetrics().Observe("bench/" + spec.Snapshot.Connection.Name)},
	})
	if err != nil {
		return err
	}
	if err := gate.Apply(ctx, spec.Snapshot); err != nil {
		return err
	}
	listener, err := server.Listen(ctx, net.JoinHostPort("127.0.0.1", "0"))
	if err != nil {
		return err
	}
	telling, err := kit.Tell(ctx)
	if err != nil {
		return err
	}
	var beating sync.WaitGroup
	defer beating.Wait()
	beating.Go(func() { beat(ctx, gate) })
	fmt.Fprintln(os.Stdout, listener.Addr(), telling)
	server.New(server.Options{Log: logr.Discard(), MaxUnproven: 8192, HandshakeTimeout: time.Minute}, server.Endpoint{
		Name: "partial", Listener: listener, Gate: gate, Handler: postgres.New().NewHandler(),
	}).Run(ctx)
	return nil
}

// allowAll is an engine that does not look at anything.
type allowAll struct{}

var allowed = policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "bench", Rule: "all"}}}

func (allowAll) Connect(context.Context, identity.Principal) (policy.Decision, error) {
	return allowed, nil
}

func (allowAll) Decide(context.Context, identity.Principal, policy.Operation) (policy.Decision, error) {
	return allowed, nil
}

func (allowAll) Masks(identity.Principal) []policy.Mask { return nil }

func (allowAll) Limits(identity.Principal) []policy.Limits { return nil }

func (allowAll) TargetRole(identity.Principal) (string, error) { return "", nil }

// beat keeps the gate open: nothing changes while the benchmark runs.
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

// anybody takes every token for one caller.
type anybody struct {
	provider string
	groups   []string
}

func (a anybody) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return identity.Principal{
		Provider: a.provider, Issuer: "https://issuer.example.com", Subject: "alice", UserName: "alice", KubernetesUser: "oidc:alice",
		Groups: a.groups, Kind: identity.Human, Method: "oidc", ExpiresAt: time.Now().Add(time.Hour),
	}, nil
}

// nobody approves nothing.
type nobody struct{}

func (nobody) Ask(context.Context, access.Question) (access.Pending, error) {
	return nil, errors.New("nobody approves anything in a benchmark")
}
