// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/doorward/doorward/controllers/login"
)

// approve enters a user code and confirms.
func (r *replica) approve(c *http.Client, code, hint string) answered {
	r.Helper()
	return r.decide(c, code, hint, "allow")
}

// decide enters a user code and says yes or no: "allow" or "deny".
func (r *replica) decide(c *http.Client, code, hint, decision string) answered {
	r.Helper()
	page := r.do(c, http.MethodPost, "/device", url.Values{"user_code": {code}, "hint": {hint}, "provider": {"company"}}, nil)
	form := fields(page.body)
	if page.status != 200 || form.Get("consent") == "" {
		return page
	}
	if !strings.Contains(page.body, code) {
		r.Errorf("the page does not show the code %q", code)
	}
	form.Set("decision", decision)
	return r.do(c, http.MethodPost, "/confirm", form, nil)
}

func TestDevice(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "<b>dee</b>")
	secret := oauth2.GenerateVerifier()
	ask := func() answered {
		return r.do(r.browser(), http.MethodPost, "/device_authorization", url.Values{
			"client_id": {login.ClientID}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sha(secret))}, "code_challenge_method": {"S256"},
		}, nil)
	}
	asked := ask()
	poll := func(code, secret string) answered {
		return r.token(url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {login.ClientID}, "device_code": {code}, "code_verifier": {secret},
		})
	}
	if got := poll(asked.text("device_code"), secret); got.text("error") != "authorization_pending" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	complete, err := url.Parse(asked.text("verification_uri_complete"))
	if err != nil {
		t.Fatal(err)
	}
	page := r.do(r.browser(), http.MethodGet, complete.String(), nil, nil)
	if page.status != 200 || !strings.Contains(page.body, asked.text("user_code")) {
		t.Errorf("the link shows the code and waits: %d %s", page.status, page.body)
	}
	browser := r.browser()
	if got := r.approve(browser, asked.text("user_code"), complete.Query().Get("hint")); got.status != 200 || !strings.Contains(got.body, "goes on at the device") {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := r.approve(r.browser(), asked.text("user_code"), ""); got.status == 200 {
		t.Errorf("a code is approved once: %s", got.body)
	}
	if got := poll(asked.text("device_code"), oauth2.GenerateVerifier()); got.text("error") != "invalid_grant" {
		t.Errorf("a device code is for the device: %d %s", got.status, got.body)
	}
	got := poll(asked.text("device_code"), secret)
	if got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	object := credential(t, got.text("credential"))
	if proven(t, got.text("access_token")).ID != object.Name || len(object.Annotations) > 0 {
		t.Errorf("the object keeps what was sealed: %v", object.Annotations)
	}
	if got := poll(asked.text("device_code"), secret); got.text("error") != "invalid_grant" {
		t.Errorf("checklist 30: a device code is good once: %d %s", got.status, got.body)
	}
	if got := poll(ask().text("user_code"), secret); got.text("error") != "expired_token" {
		t.Errorf("a user code is no device code: %d %s", got.status, got.body)
	}
}

// TestDeviceRefused (checklist 34): who says no tells the device (RFC 8628, section 3.5),
// whichever replica it asks, and nobody says yes afterwards.
func TestDeviceRefused(t *testing.T) {
	r := serve(t, nil)
	other := serve(t, r)
	allow(t, r, "nora")
	secret := oauth2.GenerateVerifier()
	asked := r.do(r.browser(), http.MethodPost, "/device_authorization", url.Values{
		"client_id": {login.ClientID}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sha(secret))}, "code_challenge_method": {"S256"},
	}, nil)
	poll := func() answered {
		return other.token(url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {login.ClientID},
			"device_code": {asked.text("device_code")}, "code_verifier": {secret},
		})
	}
	if got := poll(); got.text("error") != "authorization_pending" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := r.decide(r.browser(), asked.text("user_code"), "", "deny"); got.status != 200 || !strings.Contains(got.body, "Nothing was allowed") {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	for range 2 {
		if got := poll(); got.text("error") != "access_denied" || !strings.Contains(got.text("error_description"), "refused in the browser") {
			t.Errorf("the device hears %d %s", got.status, got.body)
		}
	}
	for _, decision := range []string{"allow", "deny"} {
		if got := r.decide(r.browser(), asked.text("user_code"), "", decision); got.status == 200 {
			t.Errorf("a code that was refused is answered again, by %q: %s", decision, got.body)
		}
	}
	found := credentialsOf(t, "id-of-nora")
	if len(found) != 1 || found[0].Spec.Revoke == nil || len(found[0].Annotations) > 0 || time.Until(found[0].Spec.ExpiresAt.Time) > 10*time.Minute {
		t.Errorf("of a refusal is left: %+v", found)
	}
}

// TestUserCodesAreLimited: checklist 25, RFC 8628, section 5.2. Whoever has a code's own link
// does not guess it.
func TestUserCodesAreLimited(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "lea")
	slow := 0
	for i := range 14 {
		got := r.do(r.browser(), http.MethodPost, "/device", url.Values{"user_code": {fmt.Sprintf("BCDF-GHJK-LMN%c", 'B'+i%3)}}, nil)
		if strings.Contains(got.body, "too many codes") {
			slow++
		}
	}
	if slow < 3 {
		t.Errorf("%d of 14 were refused for their number", slow)
	}
	logins := newLogins(t)
	_, code, hint := r.begun(logins)
	_, other, _ := r.begun(logins)
	if got := r.approve(r.browser(), other, hint); !strings.Contains(got.body, "too many codes") {
		t.Errorf("a code with the link of another: %d %s", got.status, got.body)
	}
	if got := r.approve(r.browser(), code, hint); got.status != 200 || !strings.Contains(got.body, "goes on at the device") {
		t.Errorf("a code with its link: %d %s", got.status, got.body)
	}
}
