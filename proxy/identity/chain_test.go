// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/identity"
)

// proves is a Verifier that believes everything and names one issuer.
type proves string

func (p proves) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return identity.Principal{Issuer: string(p), UserName: "alice"}, nil
}

func unsigned(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestChainVerify(t *testing.T) {
	chain, err := identity.NewChain(map[string]identity.Verifier{
		"https://a.example.com": proves("https://a.example.com"),
		"https://b.example.com": proves("https://a.example.com"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason, token string
		accepted      bool
	}{
		"Known":       {reason: "the issuer's verifier decides", token: unsigned(`{"iss":"https://a.example.com"}`), accepted: true},
		"Unknown":     {reason: "no provider, no caller", token: unsigned(`{"iss":"https://c.example.com"}`)},
		"Case":        {reason: "issuers are compared byte for byte", token: unsigned(`{"iss":"https://A.example.com"}`)},
		"Slash":       {reason: "issuers are compared byte for byte", token: unsigned(`{"iss":"https://a.example.com/"}`)},
		"ClaimCase":   {reason: "claim names have a case", token: unsigned(`{"ISS":"https://a.example.com"}`)},
		"Differs":     {reason: "a verifier that proves another issuer is not believed", token: unsigned(`{"iss":"https://b.example.com"}`)},
		"NoIssuer":    {reason: "a token names its issuer", token: unsigned(`{}`)},
		"NumberIss":   {reason: "an issuer is a string", token: unsigned(`{"iss":1}`)},
		"NotJSON":     {reason: "claims are JSON", token: unsigned(`iss`)},
		"NotBase64":   {reason: "claims are base64url", token: "e30.%%%.c2ln"},
		"Empty":       {reason: "no token", token: ""},
		"TwoParts":    {reason: "a part is missing", token: "e30.e30"},
		"FourParts":   {reason: "a part too many", token: unsigned(`{"iss":"https://a.example.com"}`) + ".x"},
		"Huge":        {reason: "checklist 28: the size is checked first", token: unsigned(`{"iss":"https://a.example.com","x":"` + strings.Repeat("x", identity.MaxTokenBytes) + `"}`)},
		"HugeUnknown": {reason: "an issuer in an error is bounded", token: unsigned(`{"iss":"` + strings.Repeat("y", 4000) + `"}`)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := chain.Verify(t.Context(), identity.BearerToken(tc.token))
			if tc.accepted {
				if err != nil || got.UserName != "alice" {
					t.Errorf("%s: got %+v, %v", tc.reason, got, err)
				}
				return
			}
			if !errors.Is(err, identity.ErrRejected) || got.UserName != "" {
				t.Errorf("%s: got %+v, %v, want a rejection", tc.reason, got, err)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("%s: the error has %d bytes", tc.reason, len(err.Error()))
			}
		})
	}
}

func TestNewChainRefuses(t *testing.T) {
	for _, verifiers := range []map[string]identity.Verifier{{"": proves("x")}, {"https://a.example.com": nil}} {
		if _, err := identity.NewChain(verifiers); err == nil {
			t.Errorf("NewChain(%v) = nil, want an error", verifiers)
		}
	}
}

// TestCredentialNeverPrints (checklist 47).
func TestCredentialNeverPrints(t *testing.T) {
	const canary = "canary-token"
	credential := identity.BearerToken(canary)
	encoded, err := json.Marshal(map[string]any{"c": credential})
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct{ credential identity.Credential }{credential}
	for _, shown := range []string{string(encoded), fmt.Sprintf("%v %+v %#v", hidden, hidden, hidden), credential.String(), fmt.Sprintf("%v %+v %#v %s %q", credential, credential, credential, credential, credential)} {
		if strings.Contains(shown, canary) {
			t.Errorf("the token shows: %s", shown)
		}
	}
}
