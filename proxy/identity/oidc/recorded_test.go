// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/oidctest/recorded"
)

// TestRecordedProviders: the documents of well-known providers lead to their keys, and a
// token of theirs is believed.
func TestRecordedProviders(t *testing.T) {
	cases := map[string]struct {
		reason string
		// issuer is what the IdentityProvider names where that is not the document's.
		issuer    string
		algorithm jose.SignatureAlgorithm
		claims    map[string]any
		says      string
	}{
		"google":         {reason: "keys are on another host", algorithm: jose.RS256},
		"entra":          {reason: "one tenant is one issuer", algorithm: jose.RS256, claims: map[string]any{"ver": "2.0", "tid": "11111111-2222-3333-4444-555555555555"}},
		"entra-common":   {reason: "that of all tenants is no issuer of anybody's token", issuer: "https://login.microsoftonline.com/common/v2.0", algorithm: jose.RS256, says: "did not match"},
		"okta":           {reason: "the org's own server", algorithm: jose.RS256},
		"auth0":          {reason: "the issuer ends in a slash", algorithm: jose.RS256},
		"keycloak":       {reason: "classes of tokens are told apart by a claim", algorithm: jose.ES256, claims: map[string]any{"typ": "ID"}},
		"gitlab":         {reason: "jobs and people have one issuer", algorithm: jose.RS256},
		"github-actions": {reason: "there is nothing but keys", algorithm: jose.RS256},
		"dex":            {reason: "the issuer has a path", algorithm: jose.RS256},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := recorded.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			issuer := p.Issuer
			if tc.issuer != "" {
				issuer = tc.issuer
			}
			key := keyFor(t, tc.algorithm)
			keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
			if err != nil {
				t.Fatal(err)
			}
			v, _ := verifierOf(t, Config{Name: name, IssuerURL: issuer, Audiences: []string{"doorward"}, UsernameClaim: "sub"})
			v.keys.client.Transport = bounded{p.Transport(issuer, keys)}
			claims := map[string]any{"iss": issuer, "sub": "alice", "aud": "doorward", "exp": time.Now().Add(time.Hour).Unix()}
			for claim, value := range tc.claims {
				claims[claim] = value
			}
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			token, err := oidctest.Sign(jose.SigningKey{Algorithm: tc.algorithm, Key: key.Key}, payload, map[string]any{"kid": key.KeyID})
			if err != nil {
				t.Fatal(err)
			}
			got, err := verify(t, v, token)
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s: got %v, want an error that says %q", tc.reason, err, tc.says)
				}
				return
			}
			if err != nil || got.UserName != "alice" || got.Issuer != p.Issuer {
				t.Errorf("%s: got %+v, %v", tc.reason, got, err)
			}
		})
	}
}

// keyFor is a key with an id, private.
func keyFor(t *testing.T, algorithm jose.SignatureAlgorithm) jose.JSONWebKey {
	t.Helper()
	if algorithm == jose.ES256 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return jose.JSONWebKey{Key: key, KeyID: "k-1", Algorithm: string(algorithm), Use: "sig"}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: "k-1", Algorithm: string(algorithm), Use: "sig"}
}
