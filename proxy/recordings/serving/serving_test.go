// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/test/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long anything may take on a loaded machine.
const bound = 60 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	return listener
}

// TestOneHostKeepsNobodyOut: checklist 4: whoever holds all the connections that a host may
// have keeps those of another host, such as the manager's, not out.
func TestOneHostKeepsNobodyOut(t *testing.T) {
	listener := newBounded(listen(t))
	accepted := make(chan net.Conn, mostConnections+1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	t.Cleanup(func() { must(t, listener.Close()); <-ended })
	dial := func(from string) net.Conn {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	enters := func(from string) net.Conn {
		t.Helper()
		dial(from)
		select {
		case conn := <-accepted:
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		case <-time.After(bound):
			t.Fatalf("%s does not get in", from)
		}
		return nil
	}
	refused := func(from string) {
		t.Helper()
		conn := dial(from)
		must(t, conn.SetReadDeadline(time.Now().Add(bound)))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || len(accepted) > 0 {
			t.Errorf("%s gets in: %v", from, err)
		}
	}
	var last net.Conn
	for range mostOfHost {
		last = enters("127.0.0.1")
	}
	refused("127.0.0.1")
	enters("127.0.0.2")
	must(t, errors.Join(last.Close(), func() error { _ = last.Close(); return nil }())) // it leaves once
	enters("127.0.0.1")
	refused("127.0.0.1")
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		for listener.room(from) {
			enters(from)
		}
	}
	refused("127.0.0.5")
}

// room says whether a host may have one more.
func (b *bounded) room(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all < mostConnections && b.hosts[host] < mostOfHost
}

// TestServe: one request a connection, whose context ends with the server; nothing is left.
func TestServe(t *testing.T) {
	ca, err := testcert.NewCA("recordings")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}})
	must(t, err)
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	must(t, err)
	listener := listen(t)
	asked, over := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/waits" {
				close(asked)
				<-r.Context().Done()
				close(over)
			}
			_, _ = io.WriteString(w, r.Proto)
		}))
	}()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	get := func(path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "https://"+listener.Addr().String()+path, http.NoBody)
		must(t, err)
		return (&http.Client{Transport: transport, Timeout: bound}).Do(r)
	}
	answer, err := get("/")
	must(t, err)
	body, err := io.ReadAll(answer.Body)
	must(t, errors.Join(err, answer.Body.Close()))
	if string(body) != "HTTP/1.1" || !answer.Close {
		t.Errorf("%q, closed: %t", body, answer.Close)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if answer, err := get("/waits"); err == nil {
			_ = answer.Body.Close()
		}
	}()
	<-asked
	cancel()
	for name, done := range map[string]<-chan struct{}{"the request": over, "its client": left} {
		select {
		case <-done:
		case <-time.After(bound):
			t.Fatalf("%s goes on after the server", name)
		}
	}
	must(t, <-served)
}
