// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/doorward/doorward/test/oidctest"
)

const (
	callback = "https://portal.example.com/callback"
	verifier = "a-verifier-of-more-than-forty-three-characters"
	// challengeOf is S256 of verifier (RFC 7636, section 4.2).
	challengeOf = "AKaopYQ563pi9GQf83eEMKvsNOZCHLRRNarAWfXnrnQ"
)

// TestLogin: nobody is logged in but by a token that this issuer made for it, as whom that is.
func TestLogin(t *testing.T) {
	open := func(address string) *Issuer {
		made, err := Open(Config{Address: address, KeyFile: filepath.Join(t.TempDir(), "key.pem"), Audience: "doorward", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		made.AllowLogin("portal", "s3cret", callback)
		return made
	}
	issuer, other := open("127.0.0.1:1"), open("127.0.0.1:1")
	token := func(of *Issuer, request Request) string {
		made, err := of.Token(request)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	alice := Request{User: "alice", Groups: []string{"analysts"}, Audience: LoginAudience}
	gateway, old := alice, alice
	gateway.Audience, old.Lifetime = "doorward", -time.Hour
	for name, tc := range map[string]struct {
		reason, shown string
		code          int
	}{
		"Good":     {reason: "it is made by the owner of the key, for this", shown: token(issuer, alice), code: http.StatusFound},
		"Nothing":  {reason: "who shows nothing is asked", code: http.StatusOK},
		"Nonsense": {reason: "it is no token", shown: "a token of nobody", code: http.StatusForbidden},
		"Other":    {reason: "another key has signed it", shown: token(other, alice), code: http.StatusForbidden},
		"Audience": {reason: "what a proxy gets to see logs nobody in", shown: token(issuer, gateway), code: http.StatusForbidden},
		"Expired":  {reason: "it has expired", shown: token(issuer, old), code: http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			asked := url.Values{
				"client_id": {"portal"}, "redirect_uri": {callback}, "response_type": {"code"}, "state": {"s"}, "nonce": {"n"},
				"code_challenge": {challengeOf}, "code_challenge_method": {"S256"},
			}
			answer := post(issuer, oidctest.AuthorizePath+"?"+asked.Encode(), url.Values{"password": {tc.shown}})
			if answer.Code != tc.code {
				t.Fatalf("%s: got %d, want %d: %s", tc.reason, answer.Code, tc.code, answer.Body)
			}
			if tc.shown != "" && strings.Contains(answer.Body.String(), tc.shown) {
				t.Errorf("the page repeats what was shown")
			}
			if tc.code != http.StatusFound {
				return
			}
			back, err := url.Parse(answer.Header().Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			got := redeem(t, issuer, back.Query().Get("code"))
			if got["sub"] != "alice" || got["aud"] != "portal" || got["nonce"] != "n" {
				t.Errorf("%s: the client gets %v", tc.reason, got)
			}
		})
	}
}

func post(issuer *Issuer, path string, form url.Values) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, issuer.URL()+path, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	issuer.issuer.ServeHTTP(answer, request)
	return answer
}

// redeem changes a code for an ID token, and returns its claims.
func redeem(t *testing.T, issuer *Issuer, code string) map[string]any {
	t.Helper()
	answer := post(issuer, oidctest.TokenPath, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
		"client_id": {"portal"}, "client_secret": {"s3cret"},
	})
	var body struct {
		IDToken string `json:"id_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("got %d, %v: %s", answer.Code, err, answer.Body)
	}
	keys := &oidc.StaticKeySet{}
	keys.PublicKeys = append(keys.PublicKeys, issuer.key.Public())
	token, err := oidc.NewVerifier(issuer.URL(), keys, &oidc.Config{ClientID: "portal", SupportedSigningAlgs: []string{oidc.ES256}}).Verify(t.Context(), body.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
