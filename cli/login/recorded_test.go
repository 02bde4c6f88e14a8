// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net/http"
	"slices"
	"testing"

	"github.com/doorward/doorward/test/oidctest/recorded"
)

// TestRecordedProviders: the documents of well-known providers lead to the endpoints of each
// way of logging in, and to scopes that they know.
func TestRecordedProviders(t *testing.T) {
	cases := map[string]struct {
		reason                   string
		browser, device, offline bool
		issInAnswer              bool
	}{
		"google":         {reason: "both ways; there is no scope to renew by", browser: true, device: true},
		"entra":          {reason: "nothing is said of PKCE, and it is there", browser: true, device: true, offline: true},
		"okta":           {reason: "PKCE with S256 alone", browser: true, device: true, offline: true},
		"auth0":          {reason: "the issuer ends in a slash", browser: true, device: true, offline: true},
		"keycloak":       {reason: "the issuer names itself in the answer", browser: true, device: true, offline: true, issInAnswer: true},
		"gitlab":         {reason: "a browser is needed", browser: true},
		"github-actions": {reason: "nobody logs in there"},
		"dex":            {reason: "the issuer has a path", browser: true, device: true, offline: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := recorded.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			e := &entry{Issuer: r.Issuer, ClientID: "doorward"}
			p, err := e.ask(t.Context(), &http.Client{Transport: &bounded{r.Transport(r.Issuer, nil)}})
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			endpoint := p.config.Endpoint
			if endpoint.AuthURL != r.Auth || endpoint.TokenURL != r.Token || endpoint.DeviceAuthURL != r.Device || p.revocation != r.Revoke {
				t.Errorf("%s: endpoints %+v, %q", tc.reason, endpoint, p.revocation)
			}
			if (endpoint.AuthURL != "") != tc.browser || (endpoint.DeviceAuthURL != "") != tc.device || p.issInAnswer != tc.issInAnswer {
				t.Errorf("%s: %+v", tc.reason, endpoint)
			}
			if slices.Contains(p.config.Scopes, "offline_access") != tc.offline {
				t.Errorf("%s: scopes %v", tc.reason, p.config.Scopes)
			}
		})
	}
}

// TestRecordedTemplate: the document of all tenants of Entra ID names no issuer that a token
// could be of.
func TestRecordedTemplate(t *testing.T) {
	r, err := recorded.Load("entra-common")
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://login.microsoftonline.com/common/v2.0"
	e := &entry{Issuer: issuer, ClientID: "doorward"}
	if _, err := e.ask(t.Context(), &http.Client{Transport: &bounded{r.Transport(issuer, nil)}}); err == nil {
		t.Error("it can be logged in at an issuer of which no token is")
	}
}
