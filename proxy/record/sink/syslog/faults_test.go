// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/proxy/record/sink/syslog"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

// peer is one connection as a server sees it.
type peer struct {
	io.ReadWriter
	tcp *net.TCPConn
	// closeNotify ends the stream over TLS; TCP has nothing but the end of the
	// connection, which follows.
	closeNotify func() error
}

// serve runs a server whose every connection is handled by a function. done is
// closed when the test ends.
func serve(t *testing.T, secure bool, handle func(p peer, done <-chan struct{})) (string, sink.TLS) {
	t.Helper()
	settings, config := sink.TLS{Disabled: true}, &tls.Config{}
	if secure {
		ca, err := testcert.NewCA("syslog")
		if err != nil {
			t.Fatal(err)
		}
		pair, err := ca.Issue(testcert.Request{IPs: []net.IP{net.ParseIP(proc.Loopback)}})
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		settings, config.Certificates = sink.TLS{CA: string(ca.PEM)}, []tls.Certificate{certificate}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(proc.Loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tcp := conn.(*net.TCPConn)
			p := peer{ReadWriter: tcp, tcp: tcp, closeNotify: func() error { return nil }}
			if secure {
				c := tls.Server(tcp, config)
				p.ReadWriter, p.closeNotify = c, c.CloseWrite
				if err := c.Handshake(); err != nil {
					_ = tcp.Close()
					continue
				}
			}
			handle(p, done)
			_ = tcp.Close()
		}
	}()
	t.Cleanup(func() {
		close(done)
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String(), settings
}

func readAll(p peer) { _, _ = io.Copy(io.Discard, p) }

// TestFaults is what servers may do other than to read everything and to close.
func TestFaults(t *testing.T) {
	batch := sinktest.Records(0, 2000)
	for name, tc := range map[string]struct {
		reason string
		handle func(p peer, done <-chan struct{})
		// want is part of the error over TLS; empty for none. tcp is that over
		// plain TCP, where it differs.
		want, tcp string
	}{
		"InOrder": {reason: "everything read, then closed", handle: func(p peer, _ <-chan struct{}) {
			readAll(p)
			_ = p.closeNotify()
		}},
		"NeverCloses": {reason: "not closed is not accepted", want: "deadline exceeded", handle: func(p peer, done <-chan struct{}) {
			readAll(p)
			<-done
		}},
		"ReadsNothing": {reason: "a server that hangs holds up nobody for ever", want: "deadline exceeded", handle: func(_ peer, done <-chan struct{}) {
			<-done
		}},
		"Killed": {
			reason: "the connection of a killed server ends without close_notify; plain TCP cannot tell", want: "without close_notify", tcp: "none",
			handle: func(p peer, _ <-chan struct{}) { readAll(p) },
		},
		"ClosesInTheMiddle": {reason: "a server that ends in order has not read everything", want: "cannot send", handle: func(p peer, _ <-chan struct{}) {
			_, _ = io.CopyN(io.Discard, p, 100)
			_ = p.closeNotify()
		}},
		"ClosesAtOnce": {reason: "an early end is no answer", want: "cannot send", handle: func(p peer, _ <-chan struct{}) {
			_ = p.closeNotify()
		}},
		"Resets": {reason: "a reset is an error", want: "reset", handle: func(p peer, _ <-chan struct{}) {
			readAll(p)
			_ = p.tcp.SetLinger(0)
		}},
		"Talks": {reason: "an HTTP server is no syslog server", want: "is it one?", handle: func(p peer, _ <-chan struct{}) {
			_, _ = io.CopyN(io.Discard, p, 100)
			_, _ = io.WriteString(p, "HTTP/1.1 400 Bad Request\r\n\r\n")
			readAll(p)
		}},
	} {
		for kind, secure := range map[string]bool{"TLS": true, "TCP": false} {
			t.Run(name+kind, func(t *testing.T) {
				want := tc.want
				if !secure && tc.tcp != "" {
					want = strings.TrimPrefix(tc.tcp, "none")
				}
				address, settings := serve(t, secure, tc.handle)
				out, err := syslog.New(syslog.Options{Address: address, TLS: settings})
				if err != nil {
					t.Fatal(err)
				}
				patience := 30 * time.Second
				if strings.Contains(want, "deadline") {
					patience = 500 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				begin := time.Now()
				err = out.Write(ctx, batch)
				if took := time.Since(begin); took > 20*time.Second {
					t.Errorf("Write took %s", took)
				}
				switch {
				case want == "" && err != nil:
					t.Errorf("Write: %v: %s", err, tc.reason)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address)):
					t.Errorf("Write: %v, want %q and the address: %s", err, want, tc.reason)
				}
			})
		}
	}
}

// TestForeignServer: a server is verified in full, and gets no record otherwise.
func TestForeignServer(t *testing.T) {
	address, settings := serve(t, true, func(p peer, _ <-chan struct{}) {
		if n, _ := io.Copy(io.Discard, p); n > 0 {
			t.Error("a server that was not verified got records")
		}
	})
	for name, tc := range map[string]struct {
		reason string
		tls    sink.TLS
		want   string
	}{
		"OtherCA":   {reason: "the system's roots do not know it", want: "unknown authority"},
		"OtherName": {reason: "the certificate is for the address", tls: sink.TLS{CA: settings.CA, ServerName: "logs.example.org"}, want: "logs.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := syslog.New(syslog.Options{Address: address, TLS: tc.tls})
			if err != nil {
				t.Fatal(err)
			}
			if err := out.Write(t.Context(), sinktest.Records(0, 1)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Write: %v, want %q: %s", err, tc.want, tc.reason)
			}
		})
	}
}
