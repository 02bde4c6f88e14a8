// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/doorward/doorward/proxy/identity"
)

// TestProofID: a token has one id, however it is written and whoever proves it; another has
// another; and the id tells nothing of the token.
func TestProofID(t *testing.T) {
	server := startIssuer(t)
	v, _ := verifierOf(t, configOf(server))
	id := func(token string) string {
		t.Helper()
		p, err := verify(t, v, token)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.ProofID) != 32 || strings.Trim(p.ProofID, "0123456789abcdef") != "" {
			t.Errorf("the id is %q", p.ProofID)
		}
		return p.ProofID
	}
	soon, later := time.Now().Add(time.Hour).Unix(), time.Now().Add(2*time.Hour).Unix()
	withID := id(tokenOf(t, server, alice("jti", "t-1", "exp", soon)))
	if other := id(tokenOf(t, server, alice("jti", "t-1", "exp", later, "preferred_username", "bob"))); other != withID {
		t.Error("a jti is what its issuer tells tokens by")
	}
	if other := id(tokenOf(t, server, alice("jti", "t-2", "exp", soon))); other == withID {
		t.Error("another jti is another token")
	}
	token := tokenOf(t, server, alice("exp", soon))
	if id(token) == id(tokenOf(t, server, alice("exp", later))) {
		t.Error("without a jti, another token has the same id")
	}
	if again := id(token); again != id(token) {
		t.Error("one token has two ids")
	}
	if id(tokenOf(t, server, alice("jti", 7, "exp", soon))) == id(tokenOf(t, server, alice("jti", 8, "exp", soon))) {
		t.Error("a jti that is none tells nothing")
	}
	all, err := claimsOf(token)
	if err != nil {
		t.Fatal(err)
	}
	if proofID("https://a.example", token, all) == proofID("https://b.example", token, all) {
		t.Error("two issuers have tokens of one id")
	}
	// Whoever has a token can write its signature in another way.
	signed := token[:strings.LastIndexByte(token, '.')+1]
	if proofID(server.URL(), token, all) != proofID(server.URL(), signed+base64.RawURLEncoding.EncodeToString([]byte("another")), all) {
		t.Error("another spelling of the signature is another id")
	}
}

// TestDelegatedIsNeverHuman: whoever acts for another is no person, whatever the issuer or
// the mapping says.
func TestDelegatedIsNeverHuman(t *testing.T) {
	server := startIssuer(t)
	act := map[string]any{"sub": "bot"}
	cases := map[string]struct {
		reason      string
		claim, expr string
		claims      map[string]any
		want        identity.Kind
	}{
		"NothingSaid":   {reason: "an agent, where nothing is said", claims: alice("act", act), want: identity.Agent},
		"ExpressionFor": {reason: "the mapping says Human of all", expr: "'Human'", claims: alice("act", act), want: identity.Agent},
		"ClaimFor":      {reason: "the token says Human", claim: "kind", claims: alice("act", act, "kind", "Human"), want: identity.Agent},
		"Workload":      {reason: "a workload may act for another", expr: "'Workload'", claims: alice("act", act), want: identity.Workload},
		"Agent":         {reason: "and so may an agent", claim: "kind", claims: alice("act", act, "kind", "Agent"), want: identity.Agent},
		"Herself":       {reason: "who acts for herself is what is said", expr: "'Human'", claims: alice(), want: identity.Human},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(server)
			config.KindClaim, config.KindExpression = tc.claim, tc.expr
			v, _ := verifierOf(t, config)
			got, err := verify(t, v, tokenOf(t, server, tc.claims))
			if err != nil || got.Kind != tc.want {
				t.Errorf("%s: got %s, %v, want %s", tc.reason, got.Kind, err, tc.want)
			}
		})
	}
}

// reviewsWeb takes every token of web.
var reviewsWeb reviewer = func(string) (*authenticationv1.TokenReviewStatus, error) {
	return &authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: []string{"doorward"}, User: authenticationv1.UserInfo{Username: "system:serviceaccount:shop:web"},
	}, nil
}

// TestUnreviewedProofEnds: a ServiceAccount's token may last for a year, and its pod may be
// gone: where nobody is asked, the proof ends after an hour.
func TestUnreviewedProofEnds(t *testing.T) {
	server := startIssuer(t)
	year := time.Now().Add(365 * 24 * time.Hour)
	cases := map[string]struct {
		reason string
		change func(*Config)
		expiry time.Time
		claims map[string]any
		want   time.Time
	}{
		"IssuerKeys": {reason: "the token alone speaks", expiry: year, want: time.Now().Add(maxUnreviewed)},
		"Shorter":    {reason: "a token that ends sooner ends then", expiry: time.Now().Add(10 * time.Minute), want: time.Now().Add(10 * time.Minute)},
		"TokenReview": {
			reason: "an API server is asked again and again", expiry: year, want: year,
			change: func(c *Config) { c.Review = reviewsWeb },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := accountsOf(server)
			if tc.change != nil {
				tc.change(&config)
			}
			v, _ := verifierOf(t, config)
			got, err := verify(t, v, tokenOf(t, server, web("exp", tc.expiry.Unix())))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if off := got.ExpiresAt.Sub(tc.want); off < -2*time.Minute || off > 2*time.Minute {
				t.Errorf("%s: ends %s, want %s", tc.reason, got.ExpiresAt, tc.want)
			}
		})
	}
}

// TestAudienceOfServer: checklist 29: with an API server's own audience, the token that
// every pod has would do.
func TestAudienceOfServer(t *testing.T) {
	server := startIssuer(t)
	for audience, refused := range map[string]bool{
		server.URL():                                   true,
		"https://kubernetes.default.svc":               true,
		"https://kubernetes.default.svc/":              true,
		"https://kubernetes.default.svc.cluster.local": true,
		"https://kubernetes.default":                   true,
		"doorward":                                     false,
		"https://kubernetes.defaults.example":          false,
	} {
		config := accountsOf(server)
		config.Audiences = []string{"doorward-cli", audience}
		if err := Check(config); (err != nil) != refused {
			t.Errorf("audience %q: %v, want it refused: %v", audience, err, refused)
		}
	}
	config := configOf(server)
	config.Audiences = []string{server.URL()}
	if err := Check(config); err != nil {
		t.Errorf("an issuer of ID tokens may be its own audience: %v", err)
	}
}
