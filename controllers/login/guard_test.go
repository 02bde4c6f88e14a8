// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/doorward/doorward/controllers/login"
)

// TestHeaders: checklists 25, 26 and 51: what every answer has, and what is not there.
func TestHeaders(t *testing.T) {
	r := serve(t, nil)
	c := r.browser()
	for _, path := range []string{"/", "/device", "/authorize", "/nothing", "/.well-known/oauth-authorization-server", "/saml/company/metadata"} {
		got := r.do(c, http.MethodGet, path, nil, map[string]string{"Accept-Encoding": "gzip, deflate, br"})
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
			"Strict-Transport-Security": "max-age=31536000", "Access-Control-Allow-Origin": "",
			"Content-Encoding": "", // the length of an answer tells nothing of what is in it
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: header %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy is %q", path, policy)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/metrics", "/healthz", "/static/"} {
		if got := r.do(c, http.MethodGet, path, nil, nil); got.status != http.StatusNotFound {
			t.Errorf("%s is there: %d", path, got.status)
		}
	}
}

func TestGuard(t *testing.T) {
	r := serve(t, nil)
	c := r.browser()
	if got := r.do(c, http.MethodGet, "/", nil, map[string]string{"Host": "evil.example"}); got.status != http.StatusMisdirectedRequest {
		t.Errorf("checklist 25: DNS rebinding: another host is served: %d", got.status)
	}
	if got := r.do(c, http.MethodPost, "/token", url.Values{"subject_token": {strings.Repeat("a", 65<<10)}}, nil); got.text("error") != "invalid_request" || !strings.Contains(got.text("error_description"), "at most 65536 bytes") {
		t.Errorf("a body without bounds: %d %.100s", got.status, got.body)
	}
	if got := r.do(c, http.MethodPost, "/saml/office/acs", url.Values{"SAMLResponse": {strings.Repeat("a", 513<<10)}}, nil); got.status != 400 || !strings.Contains(got.body, "at most 524288 bytes") {
		t.Errorf("an assertion without bounds: %d %.300s", got.status, got.body)
	}
	if got := r.do(c, http.MethodPost, "/token?subject_token=x", url.Values{"grant_type": {"x"}}, nil); got.text("error") != "invalid_request" {
		t.Errorf("a token in the URL: %d %s", got.status, got.body)
	}
	if got := r.do(c, http.MethodGet, "/token", nil, nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("a token by GET: %d", got.status)
	}
}

// TestPace: checklist 38 and 50: one host is held up, others are not, and nobody makes
// himself another host by a header.
func TestPace(t *testing.T) {
	trusting := func(o *login.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	for name, tc := range map[string]struct {
		reason  string
		change  []func(*login.Options)
		limited bool
	}{
		"Forged":  {"X-Forwarded-For of whoever comes says nothing", nil, true},
		"Ingress": {"that of a configured proxy says who came to it", []func(*login.Options){trusting}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, nil, tc.change...)
			c := r.browser()
			slow := false
			for i := range 200 {
				// What the client itself wrote stands first.
				from := "192.0.2.1, 198.51.100." + string(rune('0'+i%10))
				got := r.do(c, http.MethodGet, "/", nil, map[string]string{"X-Forwarded-For": from})
				if got.status == http.StatusTooManyRequests {
					slow = true
					if !got.closed || got.header.Get("Retry-After") == "" {
						t.Fatal("whoever is too fast keeps the connection, or is not told when to come again")
					}
				} else if got.closed {
					t.Fatal("whoever is not loses it")
				}
			}
			if slow != tc.limited {
				t.Errorf("%s: limited %t, want %t", tc.reason, slow, tc.limited)
			}
		})
	}
}

func TestCheckSettings(t *testing.T) {
	good := login.Settings{Address: ":8443", URL: "https://login.example.org"}
	cases := map[string]struct {
		reason string
		change func(*login.Settings)
		ok     bool
	}{
		"Good":    {"the least", func(*login.Settings) {}, true},
		"Slash":   {"people write it", func(s *login.Settings) { s.URL += "/" }, true},
		"Clear":   {"tokens do not go in the clear", func(s *login.Settings) { s.URL = "http://login.example.org" }, false},
		"Path":    {"cookies are for the whole host", func(s *login.Settings) { s.URL += "/login" }, false},
		"Query":   {"no place for it", func(s *login.Settings) { s.URL += "?a=b" }, false},
		"User":    {"no place for it", func(s *login.Settings) { s.URL = "https://a:b@login.example.org" }, false},
		"NoURL":   {"required", func(s *login.Settings) { s.URL = "" }, false},
		"Address": {"host and port", func(s *login.Settings) { s.Address = "8443" }, false},
		"HalfTLS": {"both or neither", func(s *login.Settings) { s.KeyFile = "tls.key" }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := good
			tc.change(&s)
			if _, err := login.CheckSettings(s); (err == nil) != tc.ok {
				t.Errorf("%s: got %v, want accepted %t", tc.reason, err, tc.ok)
			}
		})
	}
}
