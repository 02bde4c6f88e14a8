// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"

	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/test/oidctest"
)

const redirect = "http://127.0.0.1:4711/callback"

// allowed serializes the tests that change the issuer's client.
var allowed sync.Mutex

// allow has whoever comes to the issuer by a portal's client be a person.
func allow(t *testing.T, r *replica, name string, change ...func(*oidctest.Client)) {
	t.Helper()
	allowed.Lock()
	t.Cleanup(allowed.Unlock)
	c := oidctest.Client{
		ID: portalClient, Secret: clientSecret, Redirect: r.url + "/oidc/company/callback",
		Claims: map[string]any{"sub": "id-of-" + name, "preferred_username": name},
	}
	for _, f := range change {
		f(&c)
	}
	people.Allow(c)
}

// authorizing is a request of the plugin with changes, as exchanging.
func authorizing(secret string, changes ...string) string {
	sum := sha256.Sum256([]byte(secret))
	query := url.Values{
		"response_type": {"code"}, "client_id": {login.ClientID}, "redirect_uri": {redirect}, "state": {"s1"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Del(changes[i])
		if changes[i+1] != "" {
			query.Set(changes[i], changes[i+1])
		}
	}
	return "/authorize?" + query.Encode()
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z_A-Z]+)" value="([^"]*)">`)

// fields are the hidden ones of a page.
func fields(page string) url.Values {
	form := url.Values{}
	for _, found := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(found[1], html.UnescapeString(found[2]))
	}
	return form
}

// code logs in by a browser and returns what it brings to the program.
func (r *replica) code(c *http.Client, secret string, changes ...string) url.Values {
	r.Helper()
	page := r.do(c, http.MethodGet, authorizing(secret, changes...), nil, nil)
	form := fields(page.body)
	if page.status != 200 || form.Get("consent") == "" {
		r.Fatalf("no page that asks: %d %s", page.status, page.body)
	}
	form.Set("decision", "allow")
	back := r.do(c, http.MethodPost, "/confirm", form, map[string]string{"Origin": r.url, "Sec-Fetch-Site": "same-origin"})
	target, err := url.Parse(back.header.Get("Location"))
	if err != nil || back.status != http.StatusSeeOther || !strings.HasPrefix(target.String(), redirect+"?") {
		r.Fatalf("not sent back: %d %q %s", back.status, target, back.body)
	}
	return target.Query()
}

func redeeming(code, secret string, changes ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {login.ClientID}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {secret},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

func TestBrowser(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "bella")
	secret := oauth2.GenerateVerifier()
	answer := r.code(r.browser(), secret)
	if answer.Get("state") != "s1" || answer.Get("iss") != r.url || answer.Get("code") == "" {
		t.Fatalf("the browser brings %v", answer)
	}
	refused := map[string]struct {
		reason string
		form   url.Values
	}{
		"Verifier":  {"RFC 7636: the code is for whoever began", redeeming(answer.Get("code"), oauth2.GenerateVerifier())},
		"None":      {"PKCE is no choice", redeeming(answer.Get("code"), "")},
		"Plain":     {"no downgrade to the method plain", redeeming(answer.Get("code"), base64.RawURLEncoding.EncodeToString(sha(secret)))},
		"Redirect":  {"RFC 6749, section 4.1.3", redeeming(answer.Get("code"), secret, "redirect_uri", "http://127.0.0.1:4712/callback")},
		"Altered":   {"a code is sealed", redeeming(answer.Get("code")[:40]+"AA"+answer.Get("code")[42:], secret)},
		"NotACode":  {"nothing else is a code", redeeming("x", secret)},
		"Client":    {"for the plugin alone", redeeming(answer.Get("code"), secret, "client_id", "other")},
		"NewlineIn": {"one spelling", redeeming(answer.Get("code")+"\n", secret)},
	}
	for name, tc := range refused {
		t.Run(name, func(t *testing.T) {
			if got := r.token(tc.form); got.text("error") == "" || got.text("access_token") != "" {
				t.Errorf("%s: got %d %s", tc.reason, got.status, got.body)
			}
		})
	}
	got := r.token(redeeming(answer.Get("code"), secret))
	if got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if s := proven(t, got.text("access_token")); s.Provider != "company" || string(s.Claims["sub"]) != `"id-of-bella"` {
		t.Errorf("the token says %+v", s)
	}
	if again := r.token(redeeming(answer.Get("code"), secret)); again.text("error") != "invalid_grant" || !strings.Contains(again.body, "used already") {
		t.Errorf("checklist 30: a code is good once: %d %s", again.status, again.body)
	}
	if all := r.logs.all(); strings.Contains(all, clientSecret) || strings.Contains(all, answer.Get("code")) || strings.Contains(all, secret) {
		t.Errorf("checklist 47: the log holds secrets:\n%s", all)
	}
}

func sha(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// TestTwoReplicas: checklist 30. One code and one device code, at two replicas, many times at
// once: one credential.
func TestTwoReplicas(t *testing.T) {
	first := serve(t, nil)
	second := serve(t, first)
	allow(t, first, "tess")
	secret := oauth2.GenerateVerifier()
	browser := first.browser()
	code := first.code(browser, secret).Get("code")
	device := first.do(browser, http.MethodPost, "/device_authorization", url.Values{
		"client_id": {login.ClientID}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sha(secret))}, "code_challenge_method": {"S256"},
	}, nil)
	second.approve(second.browser(), device.text("user_code"), "")
	for name, form := range map[string]url.Values{
		"Code": redeeming(code, secret),
		"Device": {
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {login.ClientID},
			"device_code": {device.text("device_code")}, "code_verifier": {secret},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var group errgroup.Group
			answers := make([]answered, 24)
			begin := make(chan struct{})
			for i := range answers {
				r := []*replica{first, second}[i%2]
				c := r.browser()
				group.Go(func() error {
					<-begin
					answers[i] = r.do(c, http.MethodPost, "/token", form, nil)
					return nil
				})
			}
			close(begin)
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			good := 0
			for _, a := range answers {
				switch {
				case a.status == 200:
					good++
				case a.text("error") != "invalid_grant":
					t.Errorf("got %d %s", a.status, a.body)
				}
			}
			if good != 1 {
				t.Errorf("%d credentials of one code, want 1", good)
			}
		})
	}
	if found := credentialsOf(t, "id-of-tess"); len(found) != 2 {
		t.Errorf("%d objects, want one for the code and one for the device", len(found))
	}
}

func TestAuthorizeRefused(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "nobody")
	cases := map[string]struct {
		reason  string
		changes []string
		// back is the error that the program is told; where empty, nothing is sent there.
		back string
	}{
		"OpenRedirect": {"checklist 25: an address elsewhere", []string{"redirect_uri", "https://evil.example/callback"}, ""},
		"Name":         {"RFC 8252, section 8.3: localhost may lead elsewhere", []string{"redirect_uri", "http://localhost:4711/callback"}, ""},
		"User":         {"checklist 25: what looks like loopback", []string{"redirect_uri", "http://127.0.0.1:4711@evil.example/callback"}, ""},
		"OtherPath":    {"the path is fixed", []string{"redirect_uri", "http://127.0.0.1:4711/steal"}, ""},
		"Query":        {"the path is fixed", []string{"redirect_uri", redirect + "?x=y"}, ""},
		"Spelling":     {"one spelling", []string{"redirect_uri", "http://127.0.0.1:04711/callback"}, ""},
		"Mapped":       {"one spelling", []string{"redirect_uri", "http://[::ffff:127.0.0.1]:4711/callback"}, ""},
		"NoPort":       {"a program has a port of its own", []string{"redirect_uri", "http://127.0.0.1/callback"}, ""},
		"Header":       {"no header is injected", []string{"redirect_uri", redirect + "\r\nSet-Cookie: a=b"}, ""},
		"Client":       {"unknown clients", []string{"client_id", "other"}, ""},
		"Provider":     {"unknown providers", []string{"provider", "agents"}, ""},
		"NoPKCE":       {"PKCE is no choice", []string{"code_challenge", ""}, "invalid_request"},
		"Plain":        {"no downgrade", []string{"code_challenge_method", "plain"}, "invalid_request"},
		"NoMethod":     {"the default of RFC 7636 is plain", []string{"code_challenge_method", ""}, "invalid_request"},
		"Implicit":     {"no tokens in URLs", []string{"response_type", "token"}, "unsupported_response_type"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := r.do(r.browser(), http.MethodGet, authorizing(oauth2.GenerateVerifier(), tc.changes...), nil, nil)
			target, err := url.Parse(got.header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if tc.back == "" && (got.status/100 != 4 || target.String() != "" || got.header.Get("Set-Cookie") != "") {
				t.Errorf("%s: got %d, to %q", tc.reason, got.status, target)
			}
			if tc.back != "" && (target.Query().Get("error") != tc.back || target.Host != "127.0.0.1:4711") {
				t.Errorf("%s: got %d, to %q", tc.reason, got.status, target)
			}
		})
	}
}

// TestEmbeddedLogin (checklist 26): a page that shows logins as pictures does not fill a browser
// with their cookies.
func TestEmbeddedLogin(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "emma")
	c := r.browser()
	for _, what := range []string{"image", "iframe", "empty"} {
		got := r.do(c, http.MethodGet, authorizing(oauth2.GenerateVerifier()), nil, map[string]string{"Sec-Fetch-Dest": what})
		if got.status != 400 || got.header.Get("Set-Cookie") != "" || !strings.Contains(got.body, "in a window of its own") {
			t.Errorf("%s: got %d %s", what, got.status, got.body)
		}
	}
	if got := r.do(c, http.MethodGet, authorizing(oauth2.GenerateVerifier()), nil, map[string]string{"Sec-Fetch-Dest": "document"}); got.status != 200 {
		t.Errorf("whoever goes there logs in: %d %s", got.status, got.body)
	}
}

// TestForeignBrowser: what one browser began, another does not end; and no page of another
// site begins or ends anything for a browser (checklist 26).
func TestForeignBrowser(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "fred")
	mine, theirs := r.browser(), r.browser()
	// Stopped on the way back from the issuer: the URL that an attacker would send to others.
	stopped := ""
	mine.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if strings.Contains(next.URL.Path, "/callback") {
			stopped = next.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	r.do(mine, http.MethodGet, authorizing(oauth2.GenerateVerifier()), nil, nil)
	if stopped == "" {
		t.Fatal("the issuer did not send the browser back")
	}
	if got := r.do(theirs, http.MethodGet, stopped, nil, nil); got.status != 400 || !strings.Contains(got.body, "did not begin that login") {
		t.Errorf("login CSRF: another browser takes the answer: %d %s", got.status, got.body)
	}
	if got := r.do(mine, http.MethodGet, strings.Replace(stopped, "iss=", "iss=x", 1), nil, nil); got.status != 400 || !strings.Contains(got.body, "another issuer") {
		t.Errorf("RFC 9207: mix-up: %d %s", got.status, got.body)
	}
	if got := r.do(mine, http.MethodGet, strings.Replace(stopped, "/oidc/company/", "/oidc/agents/", 1), nil, nil); got.status != 400 {
		t.Errorf("mix-up by path: %d %s", got.status, got.body)
	}
	page := r.do(mine, http.MethodGet, stopped, nil, nil)
	form := fields(page.body)
	form.Set("decision", "allow")
	policy := page.header.Get("Content-Security-Policy")
	if page.status != 200 || !strings.Contains(policy, "form-action 'self' http://127.0.0.1:4711") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "script-src") || strings.Contains(page.body, "<script") {
		t.Errorf("the page that asks: %d, policy %q", page.status, policy)
	}
	for name, header := range map[string]map[string]string{
		"Origin": {"Origin": "https://evil.example"}, "Fetch": {"Sec-Fetch-Site": "cross-site"}, "SameSite": {"Sec-Fetch-Site": "same-site"},
	} {
		if got := r.do(mine, http.MethodPost, "/confirm", form, header); got.status != http.StatusForbidden {
			t.Errorf("%s: a page of another site confirms: %d", name, got.status)
		}
	}
	if got := r.do(theirs, http.MethodPost, "/confirm", form, nil); got.status != 400 || got.header.Get("Location") != "" {
		t.Errorf("another browser confirms: %d %s", got.status, got.body)
	}
	form.Set("decision", "deny")
	if got := r.do(mine, http.MethodPost, "/confirm", form, nil); !strings.Contains(got.header.Get("Location"), "error=access_denied") {
		t.Errorf("a refusal goes back to the program: %d %q", got.status, got.header.Get("Location"))
	}
	if found := credentialsOf(t, "id-of-fred"); len(found) > 0 {
		t.Errorf("%d credentials, want none", len(found))
	}
}

// TestIssuerAnswers: what the issuer gives has to be of this login, and for the portal.
func TestIssuerAnswers(t *testing.T) {
	r := serve(t, nil)
	cases := map[string]struct {
		reason string
		change func(*oidctest.Client)
		want   string
	}{
		"Nonce":    {"a token of another login", func(c *oidctest.Client) { c.Claims["nonce"] = "other" }, "another login"},
		"NoNonce":  {"a token of no login", func(c *oidctest.Client) { c.Claims["nonce"] = nil }, "another login"},
		"Audience": {"a token for another client of the same provider", func(c *oidctest.Client) { c.Claims["aud"] = audience }, "another client"},
		"Party":    {"a token that was issued to another client", func(c *oidctest.Client) { c.Claims["azp"] = audience }, "another client"},
		"Secret":   {"the issuer knows the portal by its secret", func(c *oidctest.Client) { c.Secret = "other" }, "gives no token: invalid_client"},
		"Issuer":   {"RFC 9207", func(c *oidctest.Client) { c.Answer = map[string]string{"iss": "https://evil.example"} }, "another issuer"},
		"NoIssuer": {"RFC 9207: it says that it sends one", func(c *oidctest.Client) { c.Answer = map[string]string{"iss": ""} }, "another issuer"},
		"Error":    {"the issuer refuses", func(c *oidctest.Client) { c.Answer = map[string]string{"error": "<script>", "code": ""} }, "refuses: &lt;script&gt;"},
		"NoCode":   {"nothing came", func(c *oidctest.Client) { c.Answer = map[string]string{"code": ""} }, "no code"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			allow(t, r, "ines", tc.change)
			got := r.do(r.browser(), http.MethodGet, authorizing(oauth2.GenerateVerifier()), nil, nil)
			if got.status == 200 || !strings.Contains(got.body, tc.want) {
				t.Errorf("%s: got %d %s", tc.reason, got.status, got.body)
			}
			if strings.Contains(got.body, clientSecret) || strings.Contains(r.logs.all(), clientSecret) {
				t.Error("checklist 47: the client secret shows")
			}
		})
	}
}
