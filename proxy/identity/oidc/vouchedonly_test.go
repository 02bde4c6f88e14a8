// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// samlConfig is a provider whose callers the manager vouches for.
func samlConfig() Config {
	return Config{
		Name: "staff", IssuerURL: "urn:idp.example", Audiences: []string{"https://doorward.dev/saml/staff"}, VouchedOnly: true,
		UsernameClaim: "sub", GroupsClaim: "groups",
	}
}

// TestVouchedOnly (checklist 29): a provider that makes no tokens takes none, by whomever
// it is signed.
func TestVouchedOnly(t *testing.T) {
	server := startIssuer(t)
	config := samlConfig()
	config.IssuerURL = server.URL()
	config.Audiences = []string{"doorward"}
	v, _ := verifierOf(t, config)
	for _, token := range []string{tokenOf(t, server, alice()), "", "x.y.z"} {
		if _, err := verify(t, v, token); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "kubectl doorward login") {
			t.Errorf("a token was not refused with what to do: %v", err)
		}
	}
}

// TestVouchedPrincipal: claims that were vouched for make the caller that those of a token
// would, and the record says that it was by SAML.
func TestVouchedPrincipal(t *testing.T) {
	v, c := verifierOf(t, samlConfig())
	all := claims{}
	raw, err := json.Marshal(map[string]any{
		"iss": "urn:idp.example", "sub": "ann", "aud": "https://doorward.dev/saml/staff", "groups": []string{"b", "a"},
		"exp": c.now().Add(time.Minute).Unix(), "auth_time": c.now().Unix(),
	})
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := principalOf(t.Context(), v, all)
	if err != nil {
		t.Fatal(err)
	}
	if p.Method != MethodSAML || p.UserName != "ann" || p.Issuer != "urn:idp.example" || strings.Join(p.Groups, " ") != "a b" || p.Kind != identity.Human {
		t.Errorf("%+v", p)
	}
	all["aud"] = json.RawMessage(`"https://doorward.dev/saml/other"`)
	if _, err := principalOf(t.Context(), v, all); err == nil {
		t.Error("an assertion for another service provider was taken")
	}
}

func principalOf(ctx context.Context, v *Verifier, all claims) (identity.Principal, error) {
	return v.principal(ctx, all, v.config.ClockSkew)
}

// TestVouchedOnlyRefuses: what belongs to tokens has no meaning where there are none.
func TestVouchedOnlyRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		reason string
		change func(*Config)
		says   string
	}{
		"NoIssuer":   {"of nobody", func(c *Config) { c.IssuerURL = "" }, "invalid issuer"},
		"Control":    {"what does not print", func(c *Config) { c.IssuerURL = "urn:\n" }, "invalid issuer"},
		"Algorithms": {"no signature is checked by them", func(c *Config) { c.Algorithms = []string{"RS256"} }, "of no use"},
		"Discovery":  {"no document is read", func(c *Config) { c.DiscoveryURL = "https://x.example" }, "of no use"},
		"Email":      {"checklist 28: nobody says that it is verified", func(c *Config) { c.UsernameClaim = "email" }, "email_verified"},
		"NoAudience": {"for everybody", func(c *Config) { c.Audiences = nil }, "audiences"},
	} {
		t.Run(name, func(t *testing.T) {
			config := samlConfig()
			test.change(&config)
			if err := Check(config); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want %q: %v", test.reason, test.says, err)
			}
		})
	}
	if err := Check(samlConfig()); err != nil {
		t.Error(err)
	}
	plain := samlConfig()
	plain.VouchedOnly = false
	if err := Check(plain); err == nil {
		t.Error("an issuer of tokens that is no https URL was taken")
	}
}
