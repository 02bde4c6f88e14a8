// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/samltest"
)

// TestSAML: a login by a form that the identity provider has the browser send from its own
// site.
func TestSAML(t *testing.T) {
	idp, err := samltest.New("https://idp.example", "https://idp.example/sso")
	if err != nil {
		t.Fatal(err)
	}
	office := provider("office", people)
	office.Spec.Type, office.Spec.OIDC, office.Spec.Login = v1alpha1.IdentityProviderSAML, nil, &v1alpha1.LoginSettings{LifetimeSeconds: 3600}
	office.Spec.SAML = &v1alpha1.SAMLProvider{
		EntityID: idp.EntityID, Metadata: string(idp.Metadata()), AssertionEncryption: v1alpha1.SAMLAssertionEncryptionOptional,
		ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "sub", Prefix: new("")}},
		ClaimValidationRules: []v1alpha1.ClaimValidationRule{{Expression: "claims.sub != 'unwanted'", Message: "not wanted"}}, UserValidationRules: []v1alpha1.UserValidationRule{},
	}
	if err := manager.Create(t.Context(), office); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Delete(context.WithoutCancel(t.Context()), office) })
	r := serve(t, nil)
	if got := r.do(r.browser(), http.MethodGet, "/saml/office/metadata", nil, nil); got.status != 200 || !strings.Contains(got.body, r.url+"/saml/office/acs") ||
		!strings.Contains(got.body, office.SAMLEntityID()) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	secret := oauth2.GenerateVerifier()
	mine, theirs := r.browser(), r.browser()
	follows := mine.CheckRedirect
	mine.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		if to.URL.Host == "idp.example" || follows == nil {
			return http.ErrUseLastResponse
		}
		return follows(to, via)
	}
	begun := r.do(mine, http.MethodGet, authorizing(secret, "provider", "office"), nil, nil)
	if !strings.Contains(begun.header.Get("Set-Cookie"), "SameSite=None") {
		t.Errorf("the cookie does not come with a form of another site: %q", begun.header.Get("Set-Cookie"))
	}
	asked, err := url.Parse(begun.header.Get("Location"))
	if err != nil || !strings.HasPrefix(begun.header.Get("Location"), idp.SSOURL+"?") {
		t.Fatalf("got %d %q", begun.status, begun.header.Get("Location"))
	}
	sent := asked.Query()
	request := requestOf(t, sent.Get("SAMLRequest"))
	now := time.Now()
	answer := func(change func(*samltest.Login)) url.Values {
		l := samltest.Login{
			RequestID: request, ACSURL: r.url + "/saml/office/acs", Audience: office.SAMLEntityID(), NameID: "saul", Now: now,
			Attributes: map[string][]string{"groups": {"dev"}},
		}
		change(&l)
		encoded, err := idp.Post(&l)
		if err != nil {
			t.Fatal(err)
		}
		return url.Values{"SAMLResponse": {encoded}, "RelayState": {sent.Get("RelayState")}}
	}
	good := answer(func(*samltest.Login) {})
	foreign := map[string]string{"Origin": "https://idp.example", "Sec-Fetch-Site": "cross-site"}
	if got := r.do(theirs, http.MethodPost, "/saml/office/acs", good, foreign); got.status != 400 {
		t.Errorf("login CSRF: another browser takes the assertion: %d %s", got.status, got.body)
	}
	if got := r.do(mine, http.MethodPost, "/saml/office/acs", answer(func(l *samltest.Login) { l.RequestID = "id-0123456789abcdef0123456789abcdef" }), foreign); got.status != 400 {
		t.Errorf("an assertion that answers another request: %d %s", got.status, got.body)
	}
	if got := r.do(mine, http.MethodPost, "/saml/office/acs", answer(func(l *samltest.Login) { l.NameID = "unwanted" }), foreign); got.status != 400 {
		t.Errorf("one whom the provider's rules refuse: %d %s", got.status, got.body)
	}
	// The same assertion twice, by the very browser: two codes, one credential.
	var codes []string
	for range 2 {
		asks := r.do(mine, http.MethodPost, "/saml/office/acs", good, foreign)
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
		if left := time.Until(time.Unix(s.Expiry, 0)); s.Provider != "office" || left > time.Hour {
			t.Errorf("got %s left, %+v", left, s)
		}
		var made v1alpha1.GatewayCredential
		if err := manager.Get(t.Context(), client.ObjectKey{Name: s.ID}, &made); err != nil || made.Spec.Owner.Issuer != idp.EntityID || made.Spec.Owner.Subject != "saul" {
			t.Errorf("got %+v, %v", made.Spec, err)
		}
	}
	if credentials != 1 {
		t.Errorf("checklist 27: %d credentials of one assertion, want 1", credentials)
	}
}

// requestOf is the ID of a request that came by the HTTP-Redirect binding.
func requestOf(t *testing.T, parameter string) string {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(parameter)
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		ID string `xml:"ID,attr"`
	}
	if err := xml.NewDecoder(flate.NewReader(bytes.NewReader(packed))).Decode(&request); err != nil || request.ID == "" {
		t.Fatalf("got %+v, %v", request, err)
	}
	return request.ID
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
