// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestNoCertificateAskedFor: where nothing could be proven by one, none is asked for.
func TestNoCertificateAskedFor(t *testing.T) {
	p := newPortal(t)
	for name, login := range map[string]snapshot.Login{"Without": {}, "With": p.login} {
		t.Run(name, func(t *testing.T) {
			r, s := road(t, func(c *protocoltest.Config) { c.Login = login })
			asked := false
			client(t, r, s, func(c *pgx.ConnConfig) {
				c.TLSConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					return &tls.Certificate{}, nil
				}
			})
			if want := name == "With"; asked != want {
				t.Errorf("asked: %t, want %t", asked, want)
			}
		})
	}
}

// TestHandshakesThatHang (checklist 4): clients that withhold their certificate, or send
// too much of one, keep nobody else from being let in.
func TestHandshakesThatHang(t *testing.T) {
	p, r, s := withPortal(t)
	begin := func(config *tls.Config) (net.Conn, *tls.Conn) {
		t.Helper()
		conn, err := net.Dial("tcp", s.Address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		config.RootCAs, config.ServerName, config.NextProtos = r.RootCAs, "localhost", []string{"postgresql"}
		return conn, tls.Client(conn, config)
	}
	for range 50 {
		held := make(chan struct{})
		done := make(chan struct{})
		conn, secured := begin(&tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			close(held)
			<-done
			return nil, errors.New("withheld")
		}})
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			_ = secured.Handshake()
		}()
		t.Cleanup(func() {
			close(done)
			_ = conn.Close()
			<-finished
		})
		<-held
	}
	certificate, key := p.pair(t, time.Now(), time.Hour)
	if out, err := psql(t, without(t, r, s)+fmt.Sprintf(" sslcert=%s sslkey=%s", certificate, key), "SELECT 1", "-w"); err != nil {
		t.Errorf("somebody else's login: %v %s", err, out)
	}

	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 { // each is short enough; together they are not
		pair.Certificate = append(pair.Certificate, pair.Certificate[0])
	}
	_, secured := begin(&tls.Config{Certificates: []tls.Certificate{pair}})
	err = secured.Handshake()
	if err == nil {
		_, err = io.ReadAll(secured)
	}
	if err == nil {
		t.Error("a chain of 200 certificates was read")
	}
	r.Log.Await(deadline(t), t, "that too much was sent", func(e record.Event) bool {
		return e.Type == record.AuthenticationFailed && strings.Contains(e.Reason, "too large, or has too many")
	})
}
