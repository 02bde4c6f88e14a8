// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/recordings/wire"
	"github.com/doorward/doorward/test/testcert"
)

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
