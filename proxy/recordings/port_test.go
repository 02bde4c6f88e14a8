// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/recordings"
	"github.com/doorward/doorward/proxy/recordings/wire"
	"github.com/doorward/doorward/test/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long anything may take on a loaded machine.
const bound = 60 * time.Second

var shop = record.Connection{Namespace: "data", Name: "shop", UID: "c-1"}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// port is a real log behind a real port; before is asked before each record.
type port struct {
	*spool.Log
	before func(record.Event) error
	waits  bool          // for a snapshot
	slow   chan struct{} // what an extract waits for, where set

	key     ed25519.PrivateKey
	address string
	first   int64 // of session "own"
}

func (p *port) Append(ctx context.Context, e record.Event) (record.Position, error) {
	if p.before != nil {
		if err := p.before(e); err != nil {
			return record.Position{}, err
		}
	}
	return p.Log.Append(ctx, e)
}

func (p *port) Extract(ctx context.Context, out io.Writer, session string, first, through int64) error {
	if p.slow != nil {
		select {
		case <-p.slow:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.Log.Extract(ctx, out, session, first, through)
}

func open(t *testing.T) *port {
	t.Helper()
	log, err := spool.Open(t.Context(), spool.Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	p := &port{Log: log, key: private}
	for _, e := range []record.Event{
		{Type: record.SessionStart, Session: "foreign", Connection: record.Connection{Namespace: "data", Name: "payroll"}},
		{Type: record.SessionStart, Session: "own", Connection: shop},
		{Type: record.OperationDecided, Session: "own", OperationID: 1, Connection: shop, Operation: &record.Operation{Statement: "SELECT 1"}, Decision: &record.Decision{Effect: policy.Allow}},
		{Type: record.OperationDecided, Session: "foreign", OperationID: 1, Operation: &record.Operation{Statement: "SELECT canary"}, Decision: &record.Decision{Effect: policy.Allow}},
		{Type: record.SessionEnd, Session: "own", Connection: shop},
	} {
		at, err := log.Append(t.Context(), e)
		must(t, err)
		if e.Type == record.SessionStart {
			p.first = at.Index
		}
	}
	ca, err := testcert.NewCA("recordings")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}})
	must(t, err)
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	must(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	p.address = listener.Addr().String()
	server := recordings.New(recordings.Options{
		Log: p, Gone: spool.ErrGone, Key: public, Certificate: func() (*tls.Certificate, error) { return &certificate, nil },
		Now: func() (recordings.Now, bool) {
			return recordings.Now{Connection: shop, Revision: 7}, !p.waits
		},
		Logger: logr.Discard(),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	t.Cleanup(func() { cancel(); must(t, <-served) })
	return p
}

// request is what the manager asks for dora.
func (p *port) request() wire.Request {
	return wire.Request{
		Namespace: "data", Name: "shop", Session: "own", Log: p.ID(), FirstRecord: p.first, ClientAddress: "192.0.2.9:40112",
		Reader:   wire.Reader{Username: "dora", UID: "u-1", Groups: []string{"auditors"}, Extra: map[string][]string{"example.com/token": {"t-1"}}},
		Decision: wire.Allow, Reason: "RBAC: allowed", Unrecorded: 2,
	}
}

// client is one with a certificate; with none where nil.
func client(t *testing.T, certificate *tls.Certificate) *http.Client {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: bound}
}

func (p *port) manager(t *testing.T) *http.Client {
	t.Helper()
	certificate, err := wire.Identity(p.key, time.Now())
	must(t, err)
	return client(t, &certificate)
}

func (p *port) post(t *testing.T, c *http.Client, path string, body []byte) (int, []byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.address+path, bytes.NewReader(body))
	must(t, err)
	answer, err := c.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

func encoded(t *testing.T, r wire.Request) []byte {
	t.Helper()
	body, err := json.Marshal(r)
	must(t, err)
	return body
}

// reads are the readings on record.
func (p *port) reads(t *testing.T) (all []record.Document) {
	t.Helper()
	for i := range p.Durable() {
		r, err := p.At(t.Context(), i)
		must(t, err)
		if d, err := record.Decode(r.JSON); err == nil && d.Type == record.RecordingRead {
			all = append(all, d)
		}
	}
	return all
}
