// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// encoder is a log that encodes records and keeps none. It is for one goroutine.
type encoder struct{ body []byte }

func (e *encoder) Append(_ context.Context, event record.Event) (record.Position, error) {
	return record.Position{}, e.AppendLater(event)
}

func (e *encoder) Begin(_ context.Context, event record.Event) (record.Pending, error) {
	err := e.AppendLater(event)
	return e, err
}

func (e *encoder) Wait(context.Context) (record.Position, error) { return record.Position{}, nil }

func (e *encoder) AppendLater(event record.Event) error {
	e.body = record.AppendBody(e.body[:0], &event)
	return nil
}

// proven is a verifier that knows one caller.
type proven identity.Principal

func (p proven) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return identity.Principal(p), nil
}

// BenchmarkDecide is what the road itself costs one operation, from Decide to
// Done: digest, both records encoded, bookkeeping. Engine and disk cost nothing here.
func BenchmarkDecide(b *testing.B) {
	for name, observers := range map[string][]Observer{"unwatched": nil, "watched": {idleObserver{}}} {
		b.Run(name, func(b *testing.B) { benchmarkDecide(b, observers) })
	}
}

// idleObserver is told everything and does nothing.
type idleObserver struct{}

func (idleObserver) Refused(*Login, Reason)          {}
func (o idleObserver) Opened(*Login, string) Watcher { return o }
func (idleObserver) Dialed(snapshot.Target, time.Time, time.Duration, error) {
}
func (idleObserver) Operation(Observed)              {}
func (idleObserver) Closed(EndReason, time.Duration) {}

// benchGrant is a session with a log that keeps nothing.
func benchGrant(b *testing.B, observers []Observer) *Grant {
	b.Helper()
	connection := snapshot.Connection{Namespace: "data", Name: "shop", UID: "c-1", Generation: 1}
	gate, err := NewGate(Config{
		Connection: connection, Log: &encoder{}, Dialer: &dialer{}, Approvals: newApprovals(), Observers: observers,
		NewEngine: func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
			engine := allowing
			engine.masks = []policy.Mask{cards}
			return policytest.Engine(engine), nil
		},
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) {
			return proven{
				Provider: "corp", Issuer: "https://issuer.example", Subject: "1", UserName: "alice", KubernetesUser: "oidc:alice",
				Groups: []string{"analysts"}, Kind: identity.Human, Method: "oidc", ExpiresAt: time.Now().Add(time.Hour),
			}, nil
		},
		TLS: &tls.Config{MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { gate.Close(ErrDraining) })
	if err := gate.Apply(b.Context(), &snapshot.Snapshot{
		Connection: connection, Revision: 1, Protocol: "postgres", MaxStalenessSeconds: 300,
		Targets: []snapshot.Target{{Host: "db.example", Port: 5432}}, TLS: snapshot.TLS{Mode: "VerifyFull"},
	}); err != nil {
		b.Fatal(err)
	}
	gate.Heartbeat(0)
	caller, err := gate.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000}).Authenticate(b.Context(), identity.BearerToken("token"))
	if err != nil {
		b.Fatal(err)
	}
	grant, err := caller.Authorize(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { grant.Close("done") })
	return grant
}

func benchmarkDecide(b *testing.B, observers []Observer) {
	b.Helper()
	grant := benchGrant(b, observers)
	ask := Ask{
		Operation: record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT abalance FROM pgbench_accounts WHERE aid = $1;",
			Normalized: "SELECT abalance FROM pgbench_accounts WHERE aid = $1", Parameters: 1,
			ParametersDigest: "sha256:4d7b3ef7300acf70c892d8327db8272f54434adbc61a4e130a563cb59a0d0f47",
			Accesses:         []policy.Access{{Action: "select", Resource: "public.pgbench_accounts"}},
		},
		CheckMasks: func(mask.Rules) error { return nil },
	}
	b.ReportAllocs()
	for b.Loop() {
		permit, err := grant.Decide(b.Context(), ask)
		if err != nil {
			b.Fatal(err)
		}
		permit.Done(record.Result{Outcome: "Succeeded", Rows: 1, Bytes: 14})
	}
}
