// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is the real time plus what a test adds.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func startIssuer(t *testing.T) *oidctest.Server {
	t.Helper()
	server, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close issuer: %v", err)
		}
	})
	return server
}

func configOf(server *oidctest.Server) Config {
	return Config{
		Name: "corp", IssuerURL: server.URL(), Audiences: []string{"doorward", "doorward-cli"},
		CertificateAuthorityPEM: server.CertificateAuthorityPEM, UsernameClaim: "preferred_username", GroupsClaim: "groups",
	}
}

// verifierOf makes a Verifier with a clock of its own, closed with the test.
func verifierOf(t *testing.T, config Config) (*Verifier, *clock) {
	t.Helper()
	c := &clock{}
	v, err := newVerifier(newGroup(t.Context()), config, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v, c
}

// alice are the claims of a good token.
func alice(changes ...any) map[string]any {
	claims := map[string]any{
		"sub": "a-1", "preferred_username": "alice", "aud": "doorward", "groups": []string{"analysts"},
		"email": "alice@example.com", "email_verified": true,
	}
	for i := 0; i < len(changes); i += 2 {
		claims[changes[i].(string)] = changes[i+1]
	}
	return claims
}

func tokenOf(t *testing.T, server *oidctest.Server, claims map[string]any) string {
	t.Helper()
	token, err := server.Token(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verify proves a token and checks that no error shows it.
func verify(t *testing.T, v identity.Verifier, token string) (identity.Principal, error) {
	t.Helper()
	principal, err := v.Verify(t.Context(), identity.BearerToken(token))
	if err != nil && token != "" {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 16 && strings.Contains(err.Error(), part) {
				t.Errorf("checklist 47: the error shows the token: %v", err)
			}
		}
		if principal.UserName != "" {
			t.Errorf("a refused caller has a name: %+v", principal)
		}
	}
	return principal, err
}
