// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anybody lets everybody do everything.
type anybody struct{}

func (anybody) Connect(context.Context, identity.Principal) (policy.Decision, error) {
	return policy.Decision{Effect: policy.Allow}, nil
}

func (anybody) Decide(context.Context, identity.Principal, policy.Operation) (policy.Decision, error) {
	return policy.Decision{Effect: policy.Allow}, nil
}

func (anybody) Masks(identity.Principal) []policy.Mask { return nil }

func (anybody) Limits(identity.Principal) []policy.Limits { return nil }

func (anybody) TargetRole(identity.Principal) (string, error) { return "", nil }

func (anybody) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return identity.Principal{Provider: "corp", UserName: "alice", ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func (anybody) Ask(context.Context, access.Question) (access.Pending, error) {
	return nil, errors.New("nobody is asked")
}

func (anybody) Dial(context.Context, *snapshot.Snapshot) (access.Upstream, error) {
	return access.Upstream{}, errors.New("nowhere to go")
}

// handler serves a connection by a function.
type handler func(ctx context.Context, conn net.Conn, entry *access.Entry) error

func (h handler) Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	return h(ctx, conn, entry)
}

// place is a running server with one endpoint.
type place struct {
	t       *testing.T
	gate    *access.Gate
	log     *recordtest.Log
	address string
	server  *Server
	stop    func()
	stopped chan struct{}
	mute    atomic.Bool // nobody says who the other proxies are
}

func newPlace(t *testing.T, options Options, h handler) *place {
	t.Helper()
	p := &place{t: t, log: recordtest.NewLog(), stopped: make(chan struct{})}
	connection := snapshot.Connection{Namespace: "data", Name: "shop", UID: "c-1", Generation: 1}
	var err error
	p.gate, err = access.NewGate(access.Config{
		Connection: connection, Log: p.log, Approvals: anybody{}, Dialer: anybody{}, TLS: &tls.Config{MinVersion: tls.VersionTLS12},
		NewEngine: func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
			return policytest.Engine(anybody{}), nil
		},
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return anybody{}, nil },
		Siblings: func(context.Context) ([]access.Sibling, error) {
			if p.mute.Load() {
				return nil, errors.New("the API server is away")
			}
			return nil, nil
		},
	})
	must(t, err)
	must(t, p.gate.Apply(t.Context(), &snapshot.Snapshot{Connection: connection, Revision: 1, MaxStalenessSeconds: 3600}))
	p.gate.Heartbeat(0)
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	p.address = listener.Addr().String()
	options.Log = logr.Discard()
	p.server = New(options, Endpoint{Name: "data/shop", Listener: listener, Gate: p.gate, Handler: h})
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		defer close(p.stopped)
		p.server.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.stopped
	})
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *place) dial() net.Conn {
	p.t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(p.t.Context(), "tcp", p.address)
	must(p.t, err)
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// login walks the road to a session.
func login(ctx context.Context, entry *access.Entry) (*access.Grant, error) {
	caller, err := entry.Authenticate(ctx, identity.BearerToken("token"))
	if err != nil {
		return nil, err
	}
	return caller.Authorize(ctx)
}

// ends waits until the server closes a connection.
func ends(t *testing.T, conn net.Conn, within time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	must(t, conn.SetReadDeadline(began.Add(within)))
	buffer := make([]byte, 64)
	for {
		_, err := conn.Read(buffer)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatalf("the connection is still open after %s", within)
		}
		if err != nil {
			return time.Since(began)
		}
	}
}
