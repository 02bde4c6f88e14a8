// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
	"github.com/doorward/doorward/test/testcert"
)

func TestHealth(t *testing.T) {
	var missing error
	handler := Health(NewMetrics(), Check{Name: "log", Ready: func() error { return missing }})
	get := func(path string) (int, string) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return answer.Code, answer.Body.String()
	}
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusOK,
		// checklist 51: nothing else is there.
		"/": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound, "/debug/vars": http.StatusNotFound,
	} {
		if code, _ := get(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	missing = errors.New("disk full")
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "log: disk full") {
		t.Errorf("/readyz: %d %q, want what is missing", code, body)
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d: a restart would not free a disk", code)
	}
}

func TestServeHealthEndsWithItsContext(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ServeHealth(ctx, listener, Health(NewMetrics())) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/healthz", http.NoBody)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	answer, err := client.Do(request)
	must(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(t, errors.Join(err, answer.Body.Close()))
	client.CloseIdleConnections()
	cancel()
	must(t, <-done)
}

func TestCertificateDir(t *testing.T) {
	ca, err := testcert.NewCA("test")
	must(t, err)
	dir := t.TempDir()
	source := &CertificateDir{Path: dir}
	if _, err := source.Certificate(); err == nil {
		t.Fatal("a certificate came from an empty directory")
	}
	write := func(name string) []byte {
		pair, err := ca.Issue(testcert.Request{CommonName: name})
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), pair.CertPEM, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "tls.key"), pair.KeyPEM, 0o600))
		loaded, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
		must(t, err)
		return loaded.Certificate[0]
	}
	for _, name := range []string{"first", "second-with-a-longer-name"} {
		want := write(name)
		got, err := source.Certificate()
		must(t, err)
		if diff := cmp.Diff(want, got.Certificate[0]); diff != "" {
			t.Errorf("%s: another certificate is shown", name)
		}
	}
	before, err := source.Certificate()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("half"), 0o600))
	after, err := TLS(source).GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || after != before {
		t.Errorf("a pair that is being written: %v, want the former to stay", err)
	}
}

// listening is a sink that keeps what it gets.
type listening struct {
	got    []int64
	err    error
	closed bool
}

func (l *listening) Write(_ context.Context, batch []record.Record) error {
	if l.err != nil {
		return l.err
	}
	for _, r := range batch {
		l.got = append(l.got, r.Position.Index)
	}
	return nil
}

func (l *listening) Close() error {
	l.closed = true
	return nil
}

func batch(from, to int64) []record.Record {
	var all []record.Record
	for i := from; i < to; i++ {
		all = append(all, record.Record{Position: record.Position{LogID: "l", Index: i}})
	}
	return all
}

// checklist 44: nothing is dropped: a batch is accepted when every sink has it.
func TestFanout(t *testing.T) {
	sinks := map[string]*listening{"a": {}, "b": {}}
	f := NewFanout(func(s snapshot.Sink) (sink.Sink, error) {
		if sinks[s.Name] == nil {
			return nil, fmt.Errorf("no such sink: %q", s.Name)
		}
		return sinks[s.Name], nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Write(ctx, batch(0, 1)); err == nil {
		t.Error("records were accepted although no sink is there")
	}
	f.Want("data/shop", &snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "a", Type: "File"}}})
	f.Want("data/other", &snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "a", Type: "File"}, {Name: "b", Type: "File"}}})
	must(t, f.Write(t.Context(), batch(0, 3)))
	sinks["b"].err = errors.New("away")
	if err := f.Write(t.Context(), batch(3, 5)); err == nil {
		t.Error("a batch that one sink lacks was accepted")
	}
	sinks["b"].err = nil
	must(t, f.Write(t.Context(), batch(3, 7)))
	want := []int64{0, 1, 2, 3, 4, 5, 6}
	for name, s := range sinks {
		if diff := cmp.Diff(want, s.got); diff != "" {
			t.Errorf("sink %s: -want +got:\n%s", name, diff)
		}
	}
	f.Want("data/other", &snapshot.Snapshot{})
	must(t, f.Write(t.Context(), batch(7, 8)))
	if !sinks["b"].closed || sinks["a"].closed {
		t.Error("want the sink that is not wanted any more closed, and no other")
	}
	f.Want("data/other", &snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "unknown"}}})
	if err := f.Write(t.Context(), batch(8, 9)); err == nil {
		t.Error("a batch was accepted although a sink cannot be opened")
	}
	must(t, f.Close())
}

// Connections that the manager has not yet reached with a change do not turn it
// back, whatever their names and the number of their revisions.
func TestFanoutTakesNewestSettings(t *testing.T) {
	begin := time.Unix(1800000000, 0)
	at := func(age time.Duration, revision, bytes int64) *snapshot.Snapshot {
		return &snapshot.Snapshot{Time: begin.Add(-age), Revision: revision, Sinks: []snapshot.Sink{{Name: "a", Type: "File", File: &snapshot.FileSink{MaxFileBytes: bytes}}}}
	}
	tests := map[string]struct {
		reason    string
		snapshots map[string]*snapshot.Snapshot
		want      int64
	}{
		"Time":     {"Revisions of two Connections do not compare.", map[string]*snapshot.Snapshot{"a": at(2, 9, 1), "b": at(0, 3, 2), "c": at(1, 50, 3)}, 2},
		"Revision": {"Made in the same second, the higher revision.", map[string]*snapshot.Snapshot{"a": at(0, 2, 1), "b": at(0, 5, 2), "c": at(0, 4, 3)}, 2},
		"Name":     {"Never the order of a map.", map[string]*snapshot.Snapshot{"a": at(0, 2, 1), "b": at(0, 2, 2), "c": at(0, 2, 3)}, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for range 20 { // a map's order is another each time
				var got int64
				f := NewFanout(func(s snapshot.Sink) (sink.Sink, error) {
					got = s.File.MaxFileBytes
					return &listening{}, nil
				})
				for connection, s := range tc.snapshots {
					f.Want(connection, s)
				}
				must(t, f.Write(t.Context(), batch(0, 1)))
				if got != tc.want {
					t.Fatalf("%s: opened with %d, want %d", tc.reason, got, tc.want)
				}
				must(t, f.Close())
			}
		})
	}
}

// source gives out one credential for one address.
type source struct{ address string }

func (s source) Get(_ context.Context, use upstream.Use) (upstream.Secret, error) {
	if use.Target.String() != s.address || use.Namespace != "data" || use.Name != "shop" {
		return upstream.Secret{}, upstream.ErrCredentialMisuse
	}
	return upstream.Secret{Username: "app", Password: upstream.NewPassword("canary-password")}, nil
}

func TestDialer(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	port := int32(listener.Addr().(*net.TCPAddr).Port)
	s := &snapshot.Snapshot{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"},
		Targets:    []snapshot.Target{{Host: "127.0.0.1", Port: 1}, {Host: "127.0.0.1", Port: port}},
	}
	d := &Dialer{Credentials: func(*snapshot.Snapshot) (upstream.CredentialSource, error) {
		return source{listener.Addr().String()}, nil
	}}
	up, err := d.Dial(t.Context(), s)
	must(t, err)
	must(t, up.Conn.Close())
	if up.Target.Port != port || up.Credential.Username() != "app" || up.Credential.Password() != "canary-password" {
		t.Errorf("upstream: %+v", up.Target)
	}
	// checklist 49: the credential does not print.
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", up.Credential, up.Credential, up.Credential, up.Credential), fmt.Sprintf("%+v %#v", up, up)} {
		if strings.Contains(shown, "canary-password") {
			t.Errorf("the password prints: %s", shown)
		}
	}
	d.Credentials = func(*snapshot.Snapshot) (upstream.CredentialSource, error) { return source{"elsewhere:1"}, nil }
	if _, err := d.Dial(t.Context(), s); !errors.Is(err, upstream.ErrCredentialMisuse) {
		t.Errorf("Dial() = %v, want the credential to refuse another address", err)
	}
}

func TestProtocolsRefuseUntilOneIsKnown(t *testing.T) {
	p := NewProtocols(nil)
	if err := p.Use("gopher"); err == nil {
		t.Error("an unknown protocol is served")
	}
	pl := newPlace(t, Options{}, p.Serve)
	ends(t, pl.dial(), 5*time.Second)
	pl.log.Await(t.Context(), t, "the refusal", func(e record.Event) bool { return e.Type == record.AuthenticationFailed })
}
