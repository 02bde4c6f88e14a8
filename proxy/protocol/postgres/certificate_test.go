// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/testcert"
)

const credentialID = "0123456789abcdef0123456789abcdef"

// portal issues gateway credentials as the manager does.
type portal struct {
	authority *gateway.Authority
	login     snapshot.Login
}

func newPortal(tb testing.TB) *portal {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	p := &portal{}
	if p.authority, err = gateway.NewAuthority(key); err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	p.login.Keys = [][]byte{der}
	return p
}

// corp is the provider that proved whom the portal issues to; nothing is asked of its
// issuer.
func corp() snapshot.IdentityProvider {
	return snapshot.IdentityProvider{Name: "corp", Type: provider.OIDC, Login: true, OIDC: &snapshot.OIDC{
		IssuerURL: "https://idp.example", Audiences: []string{"doorward"}, Mapped: snapshot.Mapped{Username: snapshot.ClaimMapping{Claim: "sub"}},
	}}
}

// proving has credentials of the portal proven as in a proxy, and the kit's one token.
func proving(tb testing.TB) access.NewVerifier {
	tb.Helper()
	pool := oidc.NewPool(context.Background())
	tb.Cleanup(pool.Close)
	build := provider.Snapshot(pool, nil)
	return func(ctx context.Context, s *snapshot.Snapshot) (identity.Verifier, error) {
		verifier, err := build(ctx, s)
		return both{verifier}, err
	}
}

type both struct{ identity.Verifier }

func (b both) Verify(ctx context.Context, credential identity.Credential) (identity.Principal, error) {
	if credential.Token() == protocoltest.Token {
		return protocoltest.OneToken{}.Verify(ctx, credential)
	}
	return b.Verifier.Verify(ctx, credential)
}

func (p *portal) statement(from time.Time, lasts time.Duration) gateway.Statement {
	from = from.Truncate(time.Second)
	return gateway.Statement{
		ID: credentialID, Provider: "corp", Proof: strings.Repeat("f", 32), IssuedAt: from, ExpiresAt: from.Add(lasts),
		Claims: json.RawMessage(`{"iss":"https://idp.example","aud":"doorward","sub":"ann"}`),
	}
}

// pair writes a client certificate and its key where clients find them.
func (p *portal) pair(tb testing.TB, from time.Time, lasts time.Duration) (certificate, key string) {
	tb.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := p.authority.Certificate(p.statement(from, lasts), &own.PublicKey, "ann")
	if err != nil {
		tb.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		tb.Fatal(err)
	}
	return written(tb, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), written(tb, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func written(tb testing.TB, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// withPortal is a road that takes the portal's credentials.
func withPortal(tb testing.TB) (*portal, *protocoltest.Road, *protocoltest.Server) {
	tb.Helper()
	p := newPortal(tb)
	r, s := road(tb, func(c *protocoltest.Config) {
		c.Login, c.NewVerifier, c.IdentityProviders = p.login, proving(tb), []snapshot.IdentityProvider{corp()}
	})
	return p, r, s
}

// without is a DSN without its password.
func without(tb testing.TB, r *protocoltest.Road, s *protocoltest.Server) string {
	tb.Helper()
	return strings.Replace(dsn(tb, r, s), " password="+protocoltest.Token, "", 1)
}

func started(tb testing.TB, r *protocoltest.Road) *identity.Principal {
	tb.Helper()
	events := r.Log.OfType(record.SessionStart)
	if len(events) == 0 {
		tb.Fatal("no session is on record")
	}
	return events[len(events)-1].Actor
}

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

// TestGatewayToken: the portal's token is a password as any.
func TestGatewayToken(t *testing.T) {
	p, r, s := withPortal(t)
	token, err := p.authority.Token(p.statement(time.Now(), time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	conn := client(t, r, s, func(c *pgx.ConnConfig) { c.Password = token })
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if who := started(t, r); who.UserName != "ann" || who.Method != "gateway-token" || who.Credential.ID != credentialID {
		t.Errorf("on record is %+v", who)
	}
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
				var told *pgconn.PgError
				if err := conn.Ping(deadline(t)); !errors.As(err, &told) || !strings.Contains(told.Message, "was revoked: laptop lost") {
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
