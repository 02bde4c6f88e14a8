// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/testcert"
)

// TestClientCertificate (checklist 29): psql and pgx are in by a certificate of the
// manager's alone, over TLS 1.2 and 1.3 and over direct TLS; one of somebody else's is
// ignored, and a token asked for as before.
func TestClientCertificate(t *testing.T) {
	p, r, s := withPortal(t)
	certificate, key := p.pair(t, time.Now(), time.Hour)
	ca, err := testcert.NewCA("somebody else")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ca.Issue(testcert.Request{CommonName: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	ours := fmt.Sprintf(" sslcert=%s sslkey=%s", certificate, key)
	theirs := fmt.Sprintf(" sslcert=%s sslkey=%s", written(t, foreign.CertPEM), written(t, foreign.KeyPEM))
	for name, test := range map[string]struct {
		reason, dsn, user, method string
		refused                   string
	}{
		"TLS13":           {"the usual", without(t, r, s) + ours, "ann", "client-certificate", ""},
		"TLS12":           {"the certificate comes before the handshake's end there", without(t, r, s) + ours + " ssl_max_protocol_version=TLSv1.2", "ann", "client-certificate", ""},
		"WithToken":       {"the certificate is there first, and says who it is", dsn(t, r, s) + ours, "ann", "client-certificate", ""},
		"Foreign":         {"~/.postgresql/postgresql.crt is shown to every server", dsn(t, r, s) + theirs, protocoltest.UserName, "oidc", ""},
		"ForeignNoToken":  {"a certificate of somebody else's proves nobody", without(t, r, s) + theirs + " passfile=/nonexistent", "", "", "password"},
		"NoneAtAll":       {"it is never demanded", dsn(t, r, s), protocoltest.UserName, "oidc", ""},
		"SomebodyInTheDB": {"the user in the startup message proves nobody", strings.Replace(without(t, r, s), "user=alice", "user=root", 1) + ours, "ann", "client-certificate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := psql(t, test.dsn, "SELECT count(*) FROM orders", "-w")
			if test.refused != "" {
				if err == nil || !strings.Contains(out, test.refused) {
					t.Errorf("%s: want it refused with %q: %v %s", test.reason, test.refused, err, out)
				}
				return
			}
			if err != nil || strings.TrimSpace(out) != "1000" {
				t.Fatalf("%s: %v %s", test.reason, err, out)
			}
			who := started(t, r)
			if who.UserName != test.user || who.Method != test.method {
				t.Errorf("%s: on record are %q and %q, want %q and %q", test.reason, who.UserName, who.Method, test.user, test.method)
			}
			if test.method == "client-certificate" && (who.Credential.ID != credentialID || who.Credential.ProvenBy != "oidc" || who.Issuer != "https://idp.example") {
				t.Errorf("on record is %+v", who)
			}
		})
	}
	t.Run("Direct", func(t *testing.T) {
		config, err := pgx.ParseConfig(without(t, r, s) + ours + " sslnegotiation=direct")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.ConnectConfig(deadline(t), config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if who := started(t, r); who.UserName != "ann" {
			t.Errorf("on record is %q", who.UserName)
		}
	})
}

// fatal is the error that a client was told.
func fatal(t *testing.T, dsn string, edit ...func(*pgx.ConnConfig)) *pgconn.PgError {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edit {
		e(config)
	}
	conn, err := pgx.ConnectConfig(deadline(t), config)
	if err == nil {
		_ = conn.Close(context.Background())
		t.Fatal("the client is in")
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		t.Fatalf("the client was told nothing: %v", err)
	}
	return refused
}

// TestClientCertificateRefused (checklist 36): one of the manager's that is good no more
// ends the connection with the reason and, where it helps, the next command, though a good password is
// there.
func TestClientCertificateRefused(t *testing.T) {
	p, r, s := withPortal(t)
	certificate, key := p.pair(t, time.Now(), time.Hour)
	expired, expiredKey := p.pair(t, time.Now().Add(-time.Hour), time.Minute)
	with := func(certificate, key string) string {
		return dsn(t, r, s) + fmt.Sprintf(" sslcert=%s sslkey=%s", certificate, key)
	}
	for name, test := range map[string]struct {
		reason string
		dsn    string
		change func(*snapshot.Snapshot)
		says   string
	}{
		"Expired": {"it was good", with(expired, expiredKey), func(*snapshot.Snapshot) {}, "expired at"},
		"Revoked": {"somebody lost a laptop", with(certificate, key), func(s *snapshot.Snapshot) {
			s.Login.Revoked = []snapshot.Revoked{{ID: credentialID, Reason: "laptop lost"}}
		}, "was revoked: laptop lost"},
		"Closed":   {"too many are revoked to be told apart", with(certificate, key), func(s *snapshot.Snapshot) { s.Login.Closed = "all are refused" }, "all are refused"},
		"NoKeys":   {"the keys cannot be read", with(certificate, key), func(s *snapshot.Snapshot) { s.Login = snapshot.Login{Closed: "ask an admin"} }, "ask an admin"},
		"NoLogin":  {"the provider vouches no more", with(certificate, key), func(s *snapshot.Snapshot) { s.IdentityProviders[0].Login = false }, "has no spec.login"},
		"NoSuch":   {"the provider is gone", with(certificate, key), func(s *snapshot.Snapshot) { s.IdentityProviders = nil }, "is gone"},
		"Audience": {"the provider is in force as it is now", with(certificate, key), func(s *snapshot.Snapshot) { s.IdentityProviders[0].OIDC.Audiences = []string{"other"} }, "audience"},
	} {
		t.Run(name, func(t *testing.T) {
			helps := true // to log in again
			r.Apply(t, func(s *snapshot.Snapshot) {
				s.Login, s.IdentityProviders = p.login, []snapshot.IdentityProvider{corp()}
				test.change(s)
				helps = s.Login.Closed == ""
			})
			before := len(r.Log.OfType(record.AuthenticationFailed))
			told := fatal(t, test.dsn)
			if told.Severity != "FATAL" || told.Code != "28P01" || !strings.Contains(told.Message, test.says) || strings.Contains(told.Hint, "kubectl doorward login") != helps {
				t.Errorf("%s: the client was told %s %s %q, hint %q", test.reason, told.Severity, told.Code, told.Message, told.Hint)
			}
			failed := r.Log.OfType(record.AuthenticationFailed)
			if len(failed) != before+1 || !strings.Contains(failed[before].Reason, test.says) {
				t.Errorf("%s: it is not on record once: %d more", test.reason, len(failed)-before)
			}
		})
	}
}

// TestRevokedCredentialEndsSessions (checklist 36): the sessions that rest on a revoked
// credential end with the snapshot, and no others; a session of TLS that is resumed
// brings its certificate along, and is refused.
func TestRevokedCredentialEndsSessions(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			p, r, s := withPortal(t)
			certificate, key := p.pair(t, time.Now(), time.Hour)
			tickets := tls.NewLRUClientSessionCache(4)
			ours := dsn(t, r, s) + fmt.Sprintf(" sslcert=%s sslkey=%s", certificate, key)
			resuming := func(c *pgx.ConnConfig) {
				c.Fallbacks = nil
				c.TLSConfig.ClientSessionCache, c.TLSConfig.MaxVersion = tickets, version
			}
			connect := func() *pgx.Conn {
				t.Helper()
				config, err := pgx.ParseConfig(ours)
				if err != nil {
					t.Fatal(err)
				}
				resuming(config)
				conn, err := pgx.ConnectConfig(deadline(t), config)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close(context.Background()) })
				return conn
			}
			live := connect()
			if err := live.Ping(t.Context()); err != nil { // reads the ticket of TLS 1.3
				t.Fatal(err)
			}
			resumed := connect()
			secured, ok := resumed.PgConn().Conn().(*tls.Conn)
			if !ok || !secured.ConnectionState().DidResume {
				t.Fatal("no session of TLS was resumed: the test tests nothing")
			}
			if who := started(t, r); who.Credential.ID != credentialID {
				t.Errorf("the resumed session is that of %+v", who)
			}
			other := client(t, r, s, func(c *pgx.ConnConfig) { c.TLSConfig.Certificates = nil })

			r.Apply(t, func(s *snapshot.Snapshot) {
				s.Login.Revoked = []snapshot.Revoked{{ID: credentialID, Reason: "laptop lost"}}
			})
			for _, conn := range []*pgx.Conn{live, resumed} {
				// What was sent before the session heard of it may be answered.
				var err error
				for ctx := deadline(t); err == nil; {
					err = conn.Ping(ctx)
				}
				var told *pgconn.PgError
				if !errors.As(err, &told) || !strings.Contains(told.Message, "was revoked: laptop lost") {
					t.Errorf("the session goes on, or ends without a reason: %v", err)
				}
			}
			if err := other.Ping(t.Context()); err != nil {
				t.Errorf("a session that does not rest on it ended: %v", err)
			}
			for _, start := range r.Log.OfType(record.SessionStart)[:2] {
				r.Log.Await(deadline(t), t, "the end of "+start.Session, func(e record.Event) bool {
					return e.Type == record.SessionEnd && e.Session == start.Session && strings.Contains(e.Reason, "laptop lost")
				})
			}
			if told := fatal(t, ours, resuming); !strings.Contains(told.Message, "was revoked") {
				t.Errorf("who resumes is told %q", told.Message)
			}
		})
	}
}
