// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/testcert"
)

// fenced is a server that asks the service for what the test wants.
func fenced(t *testing.T, o pgtest.Options) *pgtest.Server {
	t.Helper()
	s := pgtest.StartT(t, o)
	if err := s.Exec(deadline(t), "CREATE ROLE "+service+" LOGIN PASSWORD '"+canary+"'", "CREATE DATABASE shop OWNER "+service); err != nil {
		t.Fatal(err)
	}
	return s
}

// leading is a road to servers.
func leading(t *testing.T, options string, targets []snapshot.Target, ca string, edit ...func(*protocoltest.Config)) (*protocoltest.Road, *protocoltest.Server) {
	t.Helper()
	return road(t, append([]func(*protocoltest.Config){func(c *protocoltest.Config) {
		c.Options = []byte(options)
		c.Target, c.MoreTargets = targets[0], targets[1:]
		c.TLS.CA = ca
	}}, edit...)...)
}

func at(s *pgtest.Server) snapshot.Target {
	return snapshot.Target{Host: s.Host, Port: int32(s.Port)}
}

// where says at which target a session is, or why there is none.
func where(t *testing.T, r *protocoltest.Road, s *protocoltest.Server) (int, error) {
	t.Helper()
	config, err := pgx.ParseConfig(dsn(t, r, s))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(deadline(t), config)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.Background())
	var port int
	if err := conn.QueryRow(deadline(t), "SELECT inet_server_port()").Scan(&port); err != nil {
		t.Fatal(err)
	}
	return port, nil
}

// TestTargets: sessions are opened at the first target that can be reached and
// is what the Connection wants.
func TestTargets(t *testing.T) {
	primary := fenced(t, pgtest.Options{})
	standby := pgtest.StartT(t, pgtest.Options{StandbyOf: primary})
	ca := string(primary.CAPEM) + string(standby.CAPEM)

	// One target takes connections and says nothing, one takes none.
	var listen net.ListenConfig
	mute, err := listen.Listen(deadline(t), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	silent := snapshot.Target{Host: "127.0.0.1", Port: int32(mute.Addr().(*net.TCPAddr).Port)}
	closed, err := listen.Listen(deadline(t), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := snapshot.Target{Host: "127.0.0.1", Port: int32(closed.Addr().(*net.TCPAddr).Port)}
	_ = closed.Close()

	for name, tc := range map[string]struct {
		reason  string
		attrs   string
		targets []snapshot.Target
		want    *pgtest.Server
		text    string
	}{
		"any":                  {reason: "the first", attrs: "Any", targets: []snapshot.Target{at(standby), at(primary)}, want: standby},
		"unset":                {reason: "the first", targets: []snapshot.Target{at(primary), at(standby)}, want: primary},
		"gone":                 {reason: "failover", targets: []snapshot.Target{gone, at(standby)}, want: standby},
		"primary":              {reason: "a standby is passed by", attrs: "Primary", targets: []snapshot.Target{gone, at(standby), at(primary)}, want: primary},
		"read-write":           {reason: "a standby is read-only", attrs: "ReadWrite", targets: []snapshot.Target{at(standby), at(primary)}, want: primary},
		"read-only":            {reason: "a standby is read-only", attrs: "ReadOnly", targets: []snapshot.Target{at(primary), at(standby)}, want: standby},
		"standby":              {reason: "a primary is passed by", attrs: "Standby", targets: []snapshot.Target{at(primary), at(standby)}, want: standby},
		"prefer standby":       {reason: "there is one", attrs: "PreferStandby", targets: []snapshot.Target{at(primary), at(standby)}, want: standby},
		"prefer standby, none": {reason: "any will do then", attrs: "PreferStandby", targets: []snapshot.Target{gone, at(primary)}, want: primary},
		"standby wanted, none": {reason: "the client is told what is missing", attrs: "Standby", targets: []snapshot.Target{at(primary)}, text: "targetSessionAttrs: Standby"},
		"primary wanted, none": {reason: "the client is told what is missing", attrs: "Primary", targets: []snapshot.Target{at(standby)}, text: "targetSessionAttrs: Primary"},
		"all are gone":         {reason: "no address is told", targets: []snapshot.Target{gone, gone}, text: "cannot be reached"},
		"silent":               {reason: "TCP alone is no answer; what the first session found out the second knows", targets: []snapshot.Target{silent, at(primary)}, want: primary},
	} {
		t.Run(name, func(t *testing.T) {
			options := `{"databases":["shop"]}`
			if tc.attrs != "" {
				options = `{"databases":["shop"],"targetSessionAttrs":"` + tc.attrs + `"}`
			}
			r, s := leading(t, options, tc.targets, ca)
			port, err := where(t, r, s)
			if tc.want == nil {
				var failure *pgconn.PgError
				if !errors.As(err, &failure) || failure.Code != "57P03" || !strings.Contains(failure.Message, tc.text) || strings.Contains(err.Error(), strconv.Itoa(int(gone.Port))) {
					t.Errorf("%s: %v, want 57P03 with %q", tc.reason, err, tc.text)
				}
				return
			}
			if err != nil || port != tc.want.Port {
				t.Fatalf("%s: at %d, %v, want %d", tc.reason, port, err, tc.want.Port)
			}
			if name != "silent" {
				return
			}
			dials := r.Dialer.Dials()
			if port, err := where(t, r, s); err != nil || port != primary.Port || r.Dialer.Dials() != dials+1 {
				t.Errorf("%s: at %d after %d dials, %v", tc.reason, port, r.Dialer.Dials()-dials, err)
			}
		})
	}

	// A target may change its role: what is known of it is only an order.
	r, s := leading(t, `{"databases":["shop"],"targetSessionAttrs":"Primary"}`, []snapshot.Target{at(primary), at(standby)}, ca)
	if port, err := where(t, r, s); err != nil || port != primary.Port {
		t.Fatalf("at %d, %v", port, err)
	}
	if err := primary.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if port, err := where(t, r, s); err != nil || port != standby.Port {
		t.Errorf("after the failover at %d, %v, want %d", port, err, standby.Port)
	}
}

// canceled has a statement canceled that runs for long.
func canceled(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	ctx, stop := context.WithCancel(deadline(t))
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil {
			if err := conn.CancelRequest(ctx); err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond): // the statement may not have begun
			}
		}
	})
	_, err := conn.Exec(deadline(t), "SELECT pg_sleep(60)").ReadAll()
	stop()
	asking.Wait()
	var failure *pgconn.PgError
	if !errors.As(err, &failure) || failure.Code != "57014" {
		t.Errorf("the statement was not canceled: %v", err)
	}
}

// TestTargetCertificate: a client certificate proves the proxy at the target,
// alone or beside the password, and is shown to nobody else (checklist 49).
func TestTargetCertificate(t *testing.T) {
	ca, err := testcert.NewCA("clients")
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(ca *testcert.CA, name string) *tls.Certificate {
		pair, err := ca.Issue(testcert.Request{CommonName: name})
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		return &loaded
	}
	foreign, err := testcert.NewCA("others")
	if err != nil {
		t.Fatal(err)
	}
	byCert := fenced(t, pgtest.Options{ClientCA: ca.PEM, HBA: []string{"hostssl all " + service + " 127.0.0.1/32 cert"}})
	byBoth := fenced(t, pgtest.Options{ClientCA: ca.PEM, HBA: []string{"hostssl all " + service + " 127.0.0.1/32 scram-sha-256 clientcert=verify-full"}})
	for name, tc := range map[string]struct {
		server      *pgtest.Server
		certificate *tls.Certificate
		password    string
		mode        string
		in          bool
	}{
		"certificate":                 {server: byCert, certificate: certificate(ca, service), in: true},
		"certificate of another role": {server: byCert, certificate: certificate(ca, "postgres")},
		"certificate of another CA":   {server: byCert, certificate: certificate(foreign, service)},
		"no certificate":              {server: byCert, password: canary},
		"both":                        {server: byBoth, certificate: certificate(ca, service), password: canary, in: true},
		"password is missing":         {server: byBoth, certificate: certificate(ca, service)},
		"certificate is missing":      {server: byBoth, password: canary},
		"without TLS":                 {server: byCert, certificate: certificate(ca, service), mode: "Disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := leading(t, `{"databases":["shop"]}`, []snapshot.Target{at(tc.server)}, string(tc.server.CAPEM), func(c *protocoltest.Config) {
				c.Certificate, c.Password = tc.certificate, tc.password
				if tc.mode != "" {
					c.TLS = snapshot.TLS{Mode: tc.mode}
				}
			})
			_, err := where(t, r, s)
			if (err == nil) != tc.in {
				t.Errorf("got in: %t, %v", err == nil, err)
			}
			var failure *pgconn.PgError
			if err != nil && (!errors.As(err, &failure) || failure.Code != "57P03" || strings.Contains(err.Error(), service)) {
				t.Errorf("the client is told %v", err)
			}
			if !tc.in {
				return
			}
			// A cancel request takes the same way.
			canceled(t, low(t, r, s))
		})
	}
}

// TestChannelBinding: where the Connection asks for it, the target must prove,
// with the stored password, that nobody ends TLS before it.
func TestChannelBinding(t *testing.T) {
	scram := fenced(t, pgtest.Options{})
	weaker := fenced(t, pgtest.Options{HBA: []string{"hostssl all " + service + " 127.0.0.1/32 password"}})
	trusting := fenced(t, pgtest.Options{HBA: []string{"hostssl all " + service + " 127.0.0.1/32 trust"}})
	for name, tc := range map[string]struct {
		server  *pgtest.Server
		options string
		in      bool
	}{
		"SCRAM-PLUS":                {server: scram, options: `,"channelBinding":"Require"`, in: true},
		"clear text where required": {server: weaker, options: `,"channelBinding":"Require"`},
		"nothing where required":    {server: trusting, options: `,"channelBinding":"Require"`},
		"clear text inside TLS":     {server: weaker, in: true},
		"nothing":                   {server: trusting, in: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := leading(t, `{"databases":["shop"]`+tc.options+`}`, []snapshot.Target{at(tc.server)}, string(tc.server.CAPEM))
			if _, err := where(t, r, s); (err == nil) != tc.in {
				t.Errorf("got in: %t, %v", err == nil, err)
			}
		})
	}
}

// TestCredentialOfAnotherProtocol: a credential that holds nothing for PostgreSQL
// opens no session, not even at a target that asks for nothing.
func TestCredentialOfAnotherProtocol(t *testing.T) {
	trusting := fenced(t, pgtest.Options{HBA: []string{"hostssl all " + service + " 127.0.0.1/32 trust"}})
	r, s := leading(t, `{"databases":["shop"]}`, []snapshot.Target{at(trusting)}, string(trusting.CAPEM), func(c *protocoltest.Config) { c.Password = "" })
	if _, err := where(t, r, s); err == nil {
		t.Error("got in without a credential")
	}
}
