// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
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
