// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/x509"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
	idType        = "urn:ietf:params:oauth:token-type:id_token"
	x509Type      = "urn:doorward:params:oauth:token-type:x509"
	sshType       = "urn:doorward:params:oauth:token-type:ssh"
)

// exchanging is a request with changes: pairs of name and value; an empty value leaves the
// parameter out.
func exchanging(subject string, changes ...string) url.Values {
	form := url.Values{"grant_type": {exchangeGrant}, "subject_token": {subject}, "subject_token_type": {idType}}
	for i := 0; i < len(changes); i += 2 {
		form.Del(changes[i])
		if changes[i+1] != "" {
			form.Set(changes[i], changes[i+1])
		}
	}
	return form
}

// stated is what a token of the portal says, proven by its public keys.
type stated struct {
	Issuer   string                     `json:"iss"`
	Audience string                     `json:"aud"`
	ID       string                     `json:"jti"`
	Provider string                     `json:"provider"`
	Proof    string                     `json:"proof"`
	Claims   map[string]json.RawMessage `json:"claims"`
	IssuedAt int64                      `json:"iat"`
	Expiry   int64                      `json:"exp"`
}

func proven(t *testing.T, token string) stated {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var s stated
	for _, key := range publicKeys(t) {
		if parsed.Claims(key, &s) == nil {
			return s
		}
	}
	t.Fatal("no public key of the portal proves the token")
	return s
}

func publicKeys(t *testing.T) []any {
	t.Helper()
	var published corev1.ConfigMap
	if err := manager.Get(t.Context(), client.ObjectKey{Namespace: operator, Name: compile.LoginKeysName}, &published); err != nil {
		t.Fatal(err)
	}
	all, err := gateway.ParseKeys([]byte(published.Data[compile.LoginKeysKey]))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	var keys []any
	for _, der := range all {
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestExchangeToken(t *testing.T) {
	r := serve(t, nil)
	iat := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	got := r.token(exchanging(person(t, "alice", map[string]any{"iat": iat.Unix(), "groups": []string{"dev"}})))
	if got.status != 200 || got.text("token_type") != "Bearer" || got.text("issued_token_type") != jwtType {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	s := proven(t, got.text("access_token"))
	if s.Issuer != gateway.Issuer || s.Audience != gateway.Audience || s.Provider != "company" || s.ID != got.text("credential") {
		t.Errorf("the token says %+v", s)
	}
	if string(s.Claims["preferred_username"]) != `"alice"` || string(s.Claims["groups"]) != `["dev"]` || s.Claims["exp"] != nil || s.Claims["iat"] != nil {
		t.Errorf("the claims are %v", s.Claims)
	}
	if want := iat.Add(lifetime); s.Expiry != want.Unix() {
		t.Errorf("it ends at %d, want the lifetime from the token's iat, %d", s.Expiry, want.Unix())
	}
	spec := credential(t, s.ID).Spec
	want := v1alpha1.CredentialOwner{Issuer: people.URL(), Subject: "id-of-alice", Username: "alice", KubernetesUsername: "company:alice"}
	if spec.Owner != want || spec.Form != v1alpha1.GatewayCredentialToken || spec.ClientAddress != "127.0.0.1" || spec.ExpiresAt.Unix() != s.Expiry {
		t.Errorf("the object says %+v", spec)
	}
	if all := r.logs.all(); strings.Contains(all, got.text("access_token")) || !strings.Contains(all, s.ID) {
		t.Errorf("checklist 47: the log names the credential and holds no token:\n%s", all)
	}
}

func TestExchangeRefused(t *testing.T) {
	r := serve(t, nil)
	good := person(t, "mallory", nil)
	twice := exchanging(good)
	twice["subject_token"] = []string{good, good}
	cases := map[string]struct {
		reason, code string
		form         url.Values
	}{
		"Expired":        {"checklist 28: the verifiers of proxies judge", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}))},
		"Audience":       {"checklist 29: a token is for its audience", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"aud": "other"}))},
		"NoLogin":        {"a provider without spec.login issues nothing", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"aud": "closed"}))},
		"Unsigned":       {"checklist 28: alg none", "invalid_grant", exchanging("eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".")},
		"Altered":        {"checklist 28: claims that nobody signed", "invalid_grant", exchanging(altered(good))},
		"Garbage":        {"no token", "invalid_grant", exchanging("a.b.c")},
		"Huge":           {"checklist 28: size first", "invalid_grant", exchanging(strings.Repeat("a", 17<<10))},
		"TooOld":         {"nothing ends later than the lifetime after the issuer's word", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"iat": time.Now().Add(-lifetime).Unix()}))},
		"NoTime":         {"without iat nobody knows since when", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"iat": nil}))},
		"NoSubject":      {"required", "invalid_request", exchanging("")},
		"SubjectType":    {"required", "invalid_request", exchanging(good, "subject_token_type", "")},
		"SAMLType":       {"another type", "invalid_request", exchanging(good, "subject_token_type", "urn:ietf:params:oauth:token-type:saml2")},
		"Requested":      {"another type", "invalid_request", exchanging(good, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")},
		"ForOthers":      {"credentials are for proxies", "invalid_target", exchanging(good, "audience", "https://bank.example")},
		"Twice":          {"RFC 6749, section 3.2", "invalid_request", twice},
		"Grant":          {"no other grant", "unsupported_grant_type", exchanging(good, "grant_type", "password")},
		"ActorType":      {"both or none", "invalid_request", exchanging(good, "actor_token", good)},
		"ActorIsSubject": {"nobody acts for themselves", "invalid_grant", exchanging(good, "actor_token", good, "actor_token_type", idType)},
		"HugeClaims":     {"what a proxy would not take is not issued", "invalid_request", exchanging(person(t, "mallory", map[string]any{"x": strings.Repeat("y", 9<<10)}))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := r.token(tc.form)
			if got.status != 400 || got.text("error") != tc.code || got.text("access_token") != "" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got %d %s, want %s", tc.reason, got.status, got.body, tc.code)
			}
			if strings.Contains(got.body, strings.Split(good, ".")[2]) {
				t.Errorf("checklist 47: the answer repeats the token: %s", got.body)
			}
		})
	}
	if found := credentialsOf(t, "id-of-mallory"); len(found) > 0 {
		t.Errorf("refusals left credentials: %d", len(found))
	}
}

// altered is a token whose claims are another's.
func altered(token string) string {
	parts := strings.Split(token, ".")
	parts[1] = strings.Split(token, ".")[1][:len(parts[1])-6] + "AAAAAA"
	return strings.Join(parts, ".")
}

// TestProofStays: whatever is made of one proof has its id, so that a proxy finds out who
// uses it elsewhere, and another proof has another one.
func TestProofStays(t *testing.T) {
	r := serve(t, nil)
	token := person(t, "paula", nil)
	first := r.token(exchanging(token)).text("access_token")
	want := proven(t, first).Proof
	if len(want) != 32 {
		t.Fatalf("the proof is %q", want)
	}
	derived := r.token(exchanging(first, "subject_token_type", jwtType)).text("access_token")
	acted := r.token(exchanging(first, "subject_token_type", jwtType, "actor_token", robot(t, "helper", nil), "actor_token_type", jwtType)).text("access_token")
	for what, text := range map[string]string{"again": r.token(exchanging(token)).text("access_token"), "derived": derived, "acted": acted} {
		if got := proven(t, text).Proof; got != want {
			t.Errorf("%s: another proof: %q, want %q", what, got, want)
		}
	}
	if proven(t, r.token(exchanging(person(t, "paula", map[string]any{"jti": "other"}))).text("access_token")).Proof == want {
		t.Error("another proof has the same id")
	}
}

// TestRequestedTypeOfOtherGrants: who logs in gets a token, and is not given one that the
// answer calls a certificate.
func TestRequestedTypeOfOtherGrants(t *testing.T) {
	r := serve(t, nil)
	for name, form := range map[string]url.Values{
		"Code":   redeeming("code", strings.Repeat("v", 43), "requested_token_type", x509Type),
		"Device": {"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {"code"}, "requested_token_type": {jwtType}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.token(form); got.text("error") != "invalid_request" || !strings.Contains(got.text("error_description"), "leave it out") {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}
