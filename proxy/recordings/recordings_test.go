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
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
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

// TestRead: checklist 46: a reading is on record with all that is known of the reader, and
// what is given can be verified and is nobody else's.
func TestRead(t *testing.T) {
	p := open(t)
	code, body, err := p.post(t, p.manager(t), wire.Path, encoded(t, p.request()))
	if err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, body, err)
	}
	var kinds []record.Type
	report, err := extract.Check(bytes.NewReader(body), func(r record.Record) error {
		d, err := record.Decode(r.JSON)
		kinds = append(kinds, d.Type)
		return err
	})
	must(t, err)
	if diff := cmp.Diff([]record.Type{record.SessionStart, record.OperationDecided, record.SessionEnd}, kinds); diff != "" || bytes.Contains(body, []byte("canary")) {
		t.Errorf("-want +got\n%s\n%s", diff, body)
	}
	reads := p.reads(t)
	if len(reads) != 1 || report.Size <= reads[0].Index {
		t.Fatalf("%d readings on record, the checkpoint is of %d", len(reads), report.Size)
	}
	want := record.Document{
		Type: record.RecordingRead, Revision: 7, ClientAddress: "192.0.2.9:40112",
		Connection: &record.ConnectionDocument{Namespace: "data", Name: "shop", UID: "c-1"},
		Actor: &record.ActorDocument{
			Subject: "u-1", UserName: "dora", KubernetesUser: "dora", Groups: []string{"auditors"}, Method: "tokenreview",
			Claims: []record.ClaimDocument{{Name: "example.com/token", Values: []string{"t-1"}}},
		},
		Decision: &record.DecisionDocument{Effect: "Allow", Cause: "RBAC: allowed"},
		Read:     &record.ReadDocument{Session: "own", FirstRecord: p.first, Unrecorded: 2},
	}
	want.Schema, want.Log, want.Index, want.Previous, want.Time = reads[0].Schema, reads[0].Log, reads[0].Index, reads[0].Previous, reads[0].Time
	// The session's start is the last of both starts.
	if diff := cmp.Diff(want, reads[0]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLargeLog: the manager hears that the reading is on record before the log was read for
// it, which may take longer than it waits for that.
func TestLargeLog(t *testing.T) {
	p := open(t)
	p.slow = make(chan struct{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.address+wire.Path, bytes.NewReader(encoded(t, p.request())))
	must(t, err)
	answer, err := p.manager(t).Do(request)
	if err != nil {
		t.Fatalf("no answer until the log was read: %v", err)
	}
	defer answer.Body.Close()
	if reads := p.reads(t); answer.StatusCode != http.StatusOK || len(reads) != 1 {
		t.Errorf("%d, %d readings on record", answer.StatusCode, len(reads))
	}
	close(p.slow)
	_, err = extract.Check(answer.Body, func(record.Record) error { return nil })
	must(t, err)
}

// TestRefusedIsOnRecord: a reader who may not gets nothing, and is on record.
func TestRefusedIsOnRecord(t *testing.T) {
	p := open(t)
	asked := p.request()
	asked.Decision = wire.Deny
	code, body, err := p.post(t, p.manager(t), wire.Path, encoded(t, asked))
	if err != nil || code != http.StatusNoContent || len(body) > 0 {
		t.Errorf("%d %s %v", code, body, err)
	}
	if reads := p.reads(t); len(reads) != 1 || reads[0].Decision.Effect != "Deny" || reads[0].ReasonCode != record.ReasonNotAllowed || reads[0].Actor.UserName != "dora" {
		t.Errorf("on record: %+v", reads)
	}
}

// TestNothingBeforeTheRecord: checklist 46: no byte is given before the reading is
// durable, and none where it cannot be written.
func TestNothingBeforeTheRecord(t *testing.T) {
	p := open(t)
	asking, goOn := make(chan struct{}), make(chan error)
	p.before = func(e record.Event) error {
		if e.Type != record.RecordingRead {
			return nil
		}
		close(asking)
		return <-goOn
	}
	type answer struct {
		code int
		body []byte
	}
	answered := make(chan answer, 1)
	c := p.manager(t)
	go func() {
		code, body, _ := p.post(t, c, wire.Path, encoded(t, p.request()))
		answered <- answer{code, body}
	}()
	select {
	case <-asking:
	case <-time.After(bound):
		t.Fatal("the reading is not put on record")
	}
	select {
	case got := <-answered:
		t.Errorf("an answer before the record: %d %s", got.code, got.body)
	default:
	}
	goOn <- errors.New("disk full: canary of the machine")
	select {
	case got := <-answered:
		if got.code != http.StatusServiceUnavailable || !strings.Contains(string(got.body), wire.ReasonUnrecorded) ||
			bytes.Contains(got.body, []byte("SELECT")) || bytes.Contains(got.body, []byte("canary")) {
			t.Errorf("without a record: %d %s", got.code, got.body)
		}
	case <-time.After(bound):
		t.Fatal("no answer")
	}
	if reads := p.reads(t); len(reads) != 0 {
		t.Errorf("on record: %+v", reads)
	}
}

// TestNoSnapshot: checklist 46: while nobody knows how durable the record must be, nothing is read.
func TestNoSnapshot(t *testing.T) {
	p := open(t)
	p.waits = true
	for _, decision := range []string{wire.Allow, wire.Deny} {
		asked := p.request()
		asked.Decision = decision
		code, body, err := p.post(t, p.manager(t), wire.Path, encoded(t, asked))
		if err != nil || code != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("no snapshot in force: try again")) {
			t.Errorf("%s: %d %s %v", decision, code, body, err)
		}
	}
	if reads := p.reads(t); len(reads) != 0 {
		t.Errorf("on record: %+v", reads)
	}
}

// TestOnlyTheManager: checklist 53: whoever has not the manager's certificate gets no
// answer, whatever they ask.
func TestOnlyTheManager(t *testing.T) {
	p := open(t)
	_, other, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ca, err := testcert.NewCA("another")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: "doorward-manager"})
	must(t, err)
	serving, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	must(t, err)
	made := func(key ed25519.PrivateKey, at time.Time) *tls.Certificate {
		c, err := wire.Identity(key, at)
		must(t, err)
		return &c
	}
	cases := map[string]struct {
		reason      string
		certificate *tls.Certificate
	}{
		"None":    {"anybody", nil},
		"Serving": {"a certificate of an authority, such as another proxy's", &serving},
		"Other":   {"signed by another key", made(other, time.Now())},
		"Old":     {"one that was made long ago", made(p.key, time.Now().Add(-time.Hour))},
		"Future":  {"one that is not valid yet", made(p.key, time.Now().Add(time.Hour))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			code, body, err := p.post(t, client(t, tc.certificate), wire.Path, encoded(t, p.request()))
			if err == nil {
				t.Errorf("%s: answered: %d %s", tc.reason, code, body)
			}
		})
	}
	if reads := p.reads(t); len(reads) != 0 {
		t.Errorf("on record: %+v", reads)
	}
}

// TestNotHere: what is not this Connection's is not given, whoever asks, and what is not
// understood is no question.
func TestNotHere(t *testing.T) {
	p := open(t)
	with := func(change func(*wire.Request)) []byte {
		r := p.request()
		change(&r)
		return encoded(t, r)
	}
	cases := map[string]struct {
		reason string
		path   string
		body   []byte
		code   int
	}{
		"Connection":  {"another Connection's port", wire.Path, with(func(r *wire.Request) { r.Name = "payroll" }), http.StatusNotFound},
		"Log":         {"a log that was here before", wire.Path, with(func(r *wire.Request) { r.Log = "x" }), http.StatusNotFound},
		"Session":     {"another session's place", wire.Path, with(func(r *wire.Request) { r.Session = "other" }), http.StatusNotFound},
		"Foreign":     {"a session of another Connection of this log", wire.Path, with(func(r *wire.Request) { r.Session, r.FirstRecord = "foreign", p.first-1 }), http.StatusNotFound},
		"Middle":      {"not the session's start", wire.Path, with(func(r *wire.Request) { r.FirstRecord++ }), http.StatusNotFound},
		"Beyond":      {"no record there", wire.Path, with(func(r *wire.Request) { r.FirstRecord = 1 << 40 }), http.StatusNotFound},
		"NoReader":    {"nobody asks", wire.Path, with(func(r *wire.Request) { r.Reader = wire.Reader{} }), http.StatusBadRequest},
		"Decision":    {"no decision", wire.Path, with(func(r *wire.Request) { r.Decision = "" }), http.StatusBadRequest},
		"Unknown":     {"a member of a later version might restrict", wire.Path, append(bytes.TrimSuffix(encoded(t, p.request()), []byte("}")), `,"only":1}`...), http.StatusBadRequest},
		"Large":       {"a large body", wire.Path, with(func(r *wire.Request) { r.Reason = strings.Repeat("x", wire.MaxRequest) }), http.StatusBadRequest},
		"AnotherPath": {"no such path", "/debug/pprof/", encoded(t, p.request()), http.StatusNotFound},
		"Query":       {"not as it is", wire.Path + "?x", encoded(t, p.request()), http.StatusNotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			code, body, err := p.post(t, p.manager(t), tc.path, tc.body)
			if err != nil || code != tc.code || bytes.Contains(body, []byte("SELECT")) {
				t.Errorf("%s: %d %s %v, want %d", tc.reason, code, body, err, tc.code)
			}
		})
	}
	if reads := p.reads(t); len(reads) != 0 {
		t.Errorf("on record: %+v", reads)
	}
}
