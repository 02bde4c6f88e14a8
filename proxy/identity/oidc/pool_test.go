// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

// TestChain: each token is judged by the provider of its issuer, and by that
// one alone.
func TestChain(t *testing.T) {
	corp, partner, stranger := startIssuer(t), startIssuer(t), startIssuer(t)
	pool := NewPool(t.Context())
	defer pool.Close()
	first, second := configOf(corp), configOf(partner)
	second.Name, second.UsernamePrefix = "partner", "partner:"
	chain, err := pool.Chain([]Config{first, second})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		server         *oidctest.Server
		provider, name string
	}{{corp, "corp", "alice"}, {partner, "partner", "partner:alice"}} {
		got, err := verify(t, chain, tokenOf(t, tc.server, alice()))
		if err != nil || got.Provider != tc.provider || got.UserName != tc.name {
			t.Errorf("Verify = %+v, %v, want %s by %s", got, err, tc.name, tc.provider)
		}
	}
	if _, err := verify(t, chain, tokenOf(t, stranger, alice())); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v, want an unknown issuer rejected", err)
	}
	// Checklist 29: a token of one issuer that claims to be of the other.
	if _, err := verify(t, chain, tokenOf(t, partner, alice("iss", corp.URL()))); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v, want another issuer's signature rejected", err)
	}
}

// TestSiblings: providers of one issuer are told apart by audience; a token for
// both belongs to the one that its azp names (checklist 29).
func TestSiblings(t *testing.T) {
	server := startIssuer(t)
	pool := NewPool(t.Context())
	defer pool.Close()
	first, second := configOf(server), configOf(server)
	second.Name, second.UsernamePrefix, second.Audiences = "robots", "robot:", []string{"doorward-robots"}
	chain, err := pool.Chain([]Config{first, second})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		audience any
		party    string
		provider string
	}{
		{"doorward", "doorward", "corp"},
		{"doorward-robots", "doorward-robots", "robots"},
		{[]string{"doorward", "doorward-robots"}, "doorward-robots", "robots"},
		{[]string{"doorward", "doorward-robots"}, "elsewhere", ""},
		{"elsewhere", "doorward", ""},
	} {
		got, err := verify(t, chain, tokenOf(t, server, alice("aud", tc.audience, "azp", tc.party)))
		switch {
		case tc.provider == "" && !errors.Is(err, identity.ErrRejected):
			t.Errorf("audience %v: Verify = %+v, %v, want it rejected", tc.audience, got, err)
		case tc.provider != "" && (err != nil || got.Provider != tc.provider):
			t.Errorf("audience %v: Verify = %+v, %v, want provider %s", tc.audience, got, err, tc.provider)
		}
	}
}

func TestPoolKeepsKeys(t *testing.T) {
	server := startIssuer(t)
	pool := NewPool(t.Context())
	defer pool.Close()
	token := tokenOf(t, server, alice())
	for range 3 {
		chain, err := pool.Chain([]Config{configOf(server)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, chain, token); err != nil {
			t.Errorf("Verify = %v, want the keys of an earlier chain to serve while the issuer is away", err)
		}
		server.SetOutage(true)
	}
	changed := configOf(server)
	changed.Audiences = []string{"other"}
	chain, err := pool.Chain([]Config{changed})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, chain, token); err == nil {
		t.Error("a changed configuration was served by the former verifier")
	}
}

func TestPoolRefuses(t *testing.T) {
	pool := NewPool(t.Context())
	defer pool.Close()
	config := Config{Name: "a", IssuerURL: "https://issuer.example.com", Audiences: []string{"x"}, UsernameClaim: "sub"}
	twin := config
	twin.Name = "b"
	if _, err := pool.Chain([]Config{config, twin}); err == nil || !strings.Contains(err.Error(), `"a" and "b"`) {
		t.Errorf("Chain = %v, want an error that names both providers of one issuer", err)
	}
	if _, err := pool.Chain([]Config{{Name: "c"}}); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("Chain = %v, want the fault of the configuration", err)
	}
	for i := range 2 * maxPooled {
		config.Name = fmt.Sprint(i)
		if _, err := pool.Chain([]Config{config}); err != nil {
			t.Fatal(err)
		}
	}
	if len(pool.made) != maxPooled || len(pool.order) != maxPooled {
		t.Errorf("%d verifiers kept, want %d", len(pool.made), maxPooled)
	}
	chain, err := pool.Chain(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, chain, "x.y.z"); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v, want everything rejected without providers", err)
	}
}

// TestPoolClaims: a policy that begins to look at a claim asks nothing of an issuer
// that is away, and each snapshot keeps the claims it names.
func TestPoolClaims(t *testing.T) {
	server, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	pool := NewPool(t.Context())
	defer pool.Close()
	config := configOf(server)
	before, err := pool.Chain([]Config{config})
	if err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, server, alice("team", "billing"))
	if got, err := verify(t, before, token); err != nil || len(got.Claims) != 0 {
		t.Fatalf("Verify = %+v, %v", got, err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	config.Claims = []string{"team"}
	after, err := pool.Chain([]Config{config})
	if err != nil {
		t.Fatal(err)
	}
	want := []identity.Claim{{Name: "team", Values: []string{"billing"}}}
	if got, err := verify(t, after, token); err != nil || !reflect.DeepEqual(got.Claims, want) {
		t.Errorf("Verify = %+v, %v, want the claim", got, err)
	}
	if got, err := verify(t, before, token); err != nil || len(got.Claims) != 0 {
		t.Errorf("Verify = %+v, %v: another snapshot's claims", got, err)
	}
	config.Claims = []string{""}
	if _, err := pool.Chain([]Config{config}); err == nil {
		t.Error("a claim without a name")
	}
}
