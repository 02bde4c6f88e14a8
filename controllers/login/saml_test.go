// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/snapshot"
)

// spoken is a service provider that takes every assertion for what it says: what is tested
// is the portal around it.
type spoken struct{ entity string }

func (s spoken) AuthnRequest(id, relay string, _ time.Time) (login.SAMLRequest, error) {
	return login.SAMLRequest{URL: "https://idp.example/sso", Form: url.Values{"SAMLRequest": {id}, "RelayState": {relay}}}, nil
}

func (s spoken) Metadata() ([]byte, error) {
	return []byte("<EntityDescriptor entityID=\"" + s.entity + "\"/>"), nil
}

func (s spoken) Response(encoded, request string, now time.Time) (login.SAMLAssertion, error) {
	subject, answers, _ := strings.Cut(encoded, "/")
	if answers != request {
		return login.SAMLAssertion{}, fmt.Errorf("%w: InResponseTo", login.ErrAssertion)
	}
	claims, err := json.Marshal(map[string]any{"iss": "https://idp.example", "sub": subject, "groups": []string{"dev"}})
	return login.SAMLAssertion{Issuer: "https://idp.example", ID: "_" + request, Claims: claims, SessionNotOnOrAfter: now.Add(20 * time.Minute)}, err
}

// TestSAML: a login by a form that the identity provider has the browser send from its own
// site.
func TestSAML(t *testing.T) {
	office := provider("office", people)
	office.Spec.Type, office.Spec.OIDC, office.Spec.Login = v1alpha1.IdentityProviderSAML, nil, &v1alpha1.LoginSettings{LifetimeSeconds: 3600}
	office.Spec.SAML = &v1alpha1.SAMLProvider{
		EntityID: "https://idp.example", Metadata: strings.Repeat("x", 64), AssertionEncryption: v1alpha1.SAMLAssertionEncryptionOptional,
		ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "sub", Prefix: new("")}},
		ClaimValidationRules: []v1alpha1.ClaimValidationRule{}, UserValidationRules: []v1alpha1.UserValidationRule{},
	}
	if err := manager.Create(t.Context(), office); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Delete(context.WithoutCancel(t.Context()), office) })
	r := serve(t, nil, func(o *login.Options) {
		o.SAML = func(_ *v1alpha1.IdentityProvider, s login.ServiceProviderSettings) (login.ServiceProvider, error) {
			if s.Key.N.BitLen() < 3072 || !s.Key.PublicKey.Equal(s.Certificate.PublicKey) || !strings.HasSuffix(s.ACSURL, "/saml/office/acs") {
				return nil, errors.New("wrong settings")
			}
			return spoken{s.EntityID}, nil
		}
		o.Judge = func(_ context.Context, object *v1alpha1.IdentityProvider, raw json.RawMessage) (identity.Principal, error) {
			var claims struct{ Sub string }
			if err := json.Unmarshal(raw, &claims); err != nil || claims.Sub == "unwanted" {
				return identity.Principal{}, fmt.Errorf("%w: not wanted", identity.ErrRejected)
			}
			return identity.Principal{Provider: object.Name, Issuer: "https://idp.example", Subject: claims.Sub, UserName: claims.Sub, Kind: identity.Human}, nil
		}
		// The metadata is no identity provider's.
		o.Compile = func([]v1alpha1.IdentityProvider) ([]snapshot.IdentityProvider, map[string]kit.Verdict) {
			return []snapshot.IdentityProvider{{Name: "office", Type: "SAML"}}, nil
		}
	})
	if got := r.do(r.browser(), http.MethodGet, "/saml/office/metadata", nil, nil); got.status != 200 || !strings.Contains(got.body, r.url+"/saml/office/metadata") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	secret := oauth2.GenerateVerifier()
	mine, theirs := r.browser(), r.browser()
	page := r.do(mine, http.MethodGet, authorizing(secret, "provider", "office"), nil, nil)
	sent := fields(page.body)
	if !strings.Contains(page.header.Get("Set-Cookie"), "SameSite=None") {
		t.Errorf("the cookie does not come with a form of another site: %q", page.header.Get("Set-Cookie"))
	}
	answer := func(subject string) url.Values {
		return url.Values{"SAMLResponse": {subject + "/" + sent.Get("SAMLRequest")}, "RelayState": {sent.Get("RelayState")}}
	}
	foreign := map[string]string{"Origin": "https://idp.example", "Sec-Fetch-Site": "cross-site"}
	if got := r.do(theirs, http.MethodPost, "/saml/office/acs", answer("saul"), foreign); got.status != 400 {
		t.Errorf("login CSRF: another browser takes the assertion: %d %s", got.status, got.body)
	}
	if got := r.do(mine, http.MethodPost, "/saml/office/acs", url.Values{"SAMLResponse": {"saul/unasked"}, "RelayState": {sent.Get("RelayState")}}, foreign); got.status != 400 {
		t.Errorf("an assertion that answers another request: %d %s", got.status, got.body)
	}
	if got := r.do(mine, http.MethodPost, "/saml/office/acs", answer("unwanted"), foreign); got.status != 400 {
		t.Errorf("one whom the provider's rules refuse: %d %s", got.status, got.body)
	}
	// The same assertion twice, by the very browser: two codes, one credential.
	var codes []string
	for range 2 {
		asks := r.do(mine, http.MethodPost, "/saml/office/acs", answer("saul"), foreign)
		form := fields(asks.body)
		form.Set("decision", "allow")
		// The page that asks is good as long as its flow is: it is not ended here.
		codes = append(codes, form.Get("consent"))
		if asks.status != 200 || form.Get("consent") == "" {
			t.Fatalf("got %d %s", asks.status, asks.body)
		}
		sent.Set("flow", form.Get("flow"))
	}
	credentials := 0
	for _, consent := range codes {
		// A browser whose cookie was put back: what an attacker would do to use both.
		again := r.browser()
		again.Jar = keep(mine.Jar, r.url)
		back := r.do(again, http.MethodPost, "/confirm", url.Values{"flow": {sent.Get("flow")}, "consent": {consent}, "decision": {"allow"}}, nil)
		target, err := url.Parse(back.header.Get("Location"))
		if err != nil || target.Query().Get("code") == "" {
			t.Fatalf("got %d %s", back.status, back.body)
		}
		got := r.token(redeeming(target.Query().Get("code"), secret))
		if got.status != 200 {
			continue
		}
		credentials++
		s := proven(t, got.text("access_token"))
		if left := time.Until(time.Unix(s.Expiry, 0)); s.Provider != "office" || left > 20*time.Minute {
			t.Errorf("SessionNotOnOrAfter bounds the credential: %s left, %+v", left, s)
		}
	}
	if credentials != 1 {
		t.Errorf("checklist 27: %d credentials of one assertion, want 1", credentials)
	}
}

// keep is a jar with the same cookies, which is not told of others.
func keep(jar http.CookieJar, of string) http.CookieJar {
	at, err := url.Parse(of)
	if err != nil {
		panic(err)
	}
	return kept{jar.Cookies(at)}
}

type kept struct{ cookies []*http.Cookie }

func (kept) SetCookies(*url.URL, []*http.Cookie) {}
func (k kept) Cookies(*url.URL) []*http.Cookie   { return k.cookies }
