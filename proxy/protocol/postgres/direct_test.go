// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/testcert"
)

// ender ends TLS before a server that has none, as servers of PostgreSQL 17 and
// newer end it that are reached directly: from the first byte on.
type ender struct {
	config  *tls.Config
	target  string
	startup atomic.Int64 // connections that began with something else
	cancels atomic.Int64
}

func (e *ender) serve(ln net.Listener) {
	var relays sync.WaitGroup
	defer relays.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		relays.Go(func() {
			defer conn.Close()
			first := make([]byte, 1)
			if _, err := io.ReadFull(conn, first); err != nil {
				return
			}
			if first[0] != 0x16 {
				e.startup.Add(1)
				return
			}
			secured := tls.Server(prepended{conn, io.MultiReader(bytes.NewReader(first), conn)}, e.config)
			up, err := net.Dial("tcp", e.target)
			if err != nil {
				return
			}
			defer up.Close()
			relays.Go(func() {
				pass(secured, up, func(b []byte) []byte { return b })
				_ = conn.Close()
			})
			pass(up, secured, func(b []byte) []byte {
				if len(b) >= 8 && bytes.Equal(b[4:8], []byte{4, 0xd2, 0x16, 0x2e}) {
					e.cancels.Add(1)
				}
				return b
			})
		})
	}
}

type prepended struct {
	net.Conn
	r io.Reader
}

func (p prepended) Read(b []byte) (int, error) { return p.r.Read(b) }

// TestDirectTarget is sslnegotiation=direct towards the target: TLS from the
// first byte, with a server that names the protocol; a cancel request too.
func TestDirectTarget(t *testing.T) {
	plain := fenced(t, pgtest.Options{WithoutTLS: true})
	ca, err := testcert.NewCA("direct")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(testcert.Request{CommonName: "localhost", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		protocols []string
		options   string
		in        bool
	}{
		"direct":                     {protocols: []string{"postgresql"}, options: `{"databases":["shop"],"sslNegotiation":"Direct"}`, in: true},
		"checklist 14: another kind": {protocols: []string{"h2"}, options: `{"databases":["shop"],"sslNegotiation":"Direct"}`},
		"checklist 14: no protocol":  {options: `{"databases":["shop"],"sslNegotiation":"Direct"}`},
		"not asked for":              {protocols: []string{"postgresql"}, options: `{"databases":["shop"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			var listen net.ListenConfig
			ln, err := listen.Listen(deadline(t), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			e := &ender{target: net.JoinHostPort(plain.Host, strconv.Itoa(plain.Port)), config: &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: tc.protocols, MinVersion: tls.VersionTLS12}}
			stopped := make(chan struct{})
			go func() { defer close(stopped); e.serve(ln) }()
			t.Cleanup(func() { _ = ln.Close(); <-stopped })
			r, s := leading(t, tc.options, []snapshot.Target{{Host: "127.0.0.1", Port: int32(ln.Addr().(*net.TCPAddr).Port)}}, string(ca.PEM))
			if _, err := where(t, r, s); (err == nil) != tc.in {
				t.Fatalf("got in: %t, %v", err == nil, err)
			}
			if asked := e.startup.Load() > 0; asked != (name == "not asked for") {
				t.Errorf("TLS was asked for first: %t", asked)
			}
			if !tc.in {
				return
			}
			canceled(t, low(t, r, s))
			if e.cancels.Load() == 0 {
				t.Error("no cancel request came the same way")
			}
		})
	}
}
