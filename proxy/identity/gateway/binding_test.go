// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"crypto/elliptic"
	"errors"
	"testing"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

// TestBinding (checklist 29): a token that is bound to a handshake proves nobody without the
// secret, whoever shows it; and with a secret counts only what is bound to it.
func TestBinding(t *testing.T) {
	key := newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	v, secret := verifierOf(t, never, key), gateway.NewSecret()
	signed := func(binding string) string {
		t.Helper()
		s := statement()
		s.Binding = binding
		token, err := authority.Token(s)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	bound, free := signed(gateway.Challenge(secret)), signed("")
	if got, err := v.BoundToken(bound, secret); err != nil || got.ID != id {
		t.Errorf("with its secret: %+v, %v", got, err)
	}
	for name, test := range map[string]struct {
		reason string
		verify func() (gateway.Statement, error)
	}{
		"Alone":          {"whoever reads the token has nothing", func() (gateway.Statement, error) { return v.Token(bound) }},
		"AnotherSecret":  {"another handshake at the same proxy", func() (gateway.Statement, error) { return v.BoundToken(bound, gateway.NewSecret()) }},
		"ChallengeAlone": {"the portal's page has seen no more", func() (gateway.Statement, error) { return v.BoundToken(bound, gateway.Challenge(secret)) }},
		"NoSecret":       {"nothing is no secret", func() (gateway.Statement, error) { return v.BoundToken(bound, "") }},
		"Unbound":        {"another's token that somebody had the portal answer with", func() (gateway.Statement, error) { return v.BoundToken(free, secret) }},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := test.verify(); !errors.Is(err, identity.ErrRejected) {
				t.Errorf("%s: %+v, %v", test.reason, got, err)
			}
		})
	}
	s := statement()
	for _, binding := range []string{"x", gateway.Challenge(secret) + "=", "\n" + gateway.Challenge(secret)[1:]} {
		s.Binding = binding
		if _, err := authority.Token(s); err == nil {
			t.Errorf("signed: %q", binding)
		}
	}
}
