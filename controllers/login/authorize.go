// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"

	"github.com/doorward/doorward/api/v1alpha1"
)

// redirectPath is where the plugin has the browser come back to.
const redirectPath = "/callback"

// maxState bounds a client's state, in bytes.
const maxState = 512

// challenge is a SHA-256 in base64url (RFC 7636, section 4.2), verifier what it is made of
// (section 4.1).
var (
	challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	verifier  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
)

// loopback reads a redirect URI: http on an address of this machine, any port, and a fixed
// path (RFC 8252, section 7.3). A name such as localhost may lead elsewhere (section 8.3).
func loopback(text string) (*url.URL, error) {
	bad := refuse(codeInvalidRequest, "invalid redirect_uri: want http://127.0.0.1:PORT%s or http://[::1]:PORT%s", redirectPath, redirectPath)
	target, err := url.Parse(text)
	if err != nil || len(text) > 64 {
		return nil, bad
	}
	address, err := netip.ParseAddrPort(target.Host)
	if err != nil || address.Port() == 0 || address.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) && address.Addr() != netip.IPv6Loopback() {
		return nil, bad
	}
	// One spelling: what is compared later is the text.
	if text != "http://"+address.String()+redirectPath {
		return nil, bad
	}
	return target, nil
}

// authorize is the authorization endpoint (RFC 6749, section 3.1). Before the redirect URI
// is known to be the person's own machine, nothing is sent anywhere.
func (p *Portal) authorize(w http.ResponseWriter, r *http.Request) error {
	query, err := single(r.URL.Query())
	if err != nil {
		return err
	}
	if err := checkClient(query); err != nil {
		return err
	}
	// Each login has a cookie, with so many of which a browser is turned away: only whoever
	// goes there begins one, and no picture or frame on somebody's page.
	if what := r.Header.Get("Sec-Fetch-Dest"); what != "" && what != "document" {
		return refuse(codeInvalidRequest, "a login begins in a window of its own: open the address that the terminal shows")
	}
	who := asking{Redirect: query.Get("redirect_uri"), State: query.Get("state"), Challenge: query.Get("code_challenge")}
	if _, err := loopback(who.Redirect); err != nil {
		return err
	}
	if len(who.State) > maxState {
		return refuse(codeInvalidRequest, "state is too long: at most %d bytes are allowed", maxState)
	}
	var wrong *fault
	switch {
	case query.Get("response_type") != "code":
		wrong = refuse(codeUnsupportedType, "want response_type code")
	case query.Get("code_challenge_method") != "S256" || !challenge.MatchString(who.Challenge):
		wrong = refuse(codeInvalidRequest, "want a code_challenge of code_challenge_method S256 (RFC 7636)")
	}
	if wrong != nil {
		_ = p.note("authorize", r, wrong)
		return p.back(w, r, &who, url.Values{"error": {wrong.code}, "error_description": {wrong.text}})
	}
	object, others, err := p.pick(r.Context(), query.Get("provider"))
	if err != nil {
		return err
	}
	if object == nil {
		return p.show(w, http.StatusOK, "choose", "Log in", links(others, query))
	}
	return p.begin(w, r, object, who)
}

// link is one of several ways to log in.
type link struct{ Name, URL string }

func links(objects []*v1alpha1.IdentityProvider, query url.Values) []link {
	var all []link
	for _, object := range objects {
		query.Set("provider", object.Name)
		all = append(all, link{Name: object.Name, URL: "/authorize?" + query.Encode()})
	}
	return all
}

// pick is the provider of a name; where there is no name, the only one, or all of them.
func (p *Portal) pick(ctx context.Context, name string) (*v1alpha1.IdentityProvider, []*v1alpha1.IdentityProvider, error) {
	now, err := p.providers.now(ctx)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	all := now.browsers()
	if len(all) == 0 {
		return nil, nil, refuse(codeInvalidRequest, "nobody can log in by a browser: no accepted IdentityProvider has spec.login with a clientID")
	}
	if name == "" && len(all) > 1 {
		return nil, all, nil
	}
	for _, object := range all {
		if name == "" || object.Name == name {
			return object, nil, nil
		}
	}
	return nil, nil, refuse(codeInvalidRequest, "nobody can log in by a browser at IdentityProvider %q: it is not there, not accepted, or has no spec.login with a clientID", shortened(name))
}

// redeemCode is RFC 6749, section 4.1.3, with RFC 7636, section 4.6.
func (p *Portal) redeemCode(ctx context.Context, form url.Values, address string) (*issued, error) {
	if err := checkClient(form); err != nil {
		return nil, err
	}
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	var c consent
	if err := keys.sealer.open("code", form.Get("code"), &c, p.now()); err != nil {
		return nil, refuse(codeInvalidGrant, "invalid code: %v: log in again", err)
	}
	if form.Get("redirect_uri") != c.Asking.Redirect {
		return nil, refuse(codeInvalidGrant, "redirect_uri is not that of the request")
	}
	if err := proves(form.Get("code_verifier"), c.Asking.Challenge); err != nil {
		return nil, err
	}
	return p.issue(ctx, &c.Proof, wanted{as: asToken(), once: c.Once, address: address})
}

// proves says whether a verifier is that of a challenge.
func proves(secret, of string) error {
	sum := sha256.Sum256([]byte(secret))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	if !verifier.MatchString(secret) || subtle.ConstantTimeCompare([]byte(made), []byte(of)) != 1 {
		return refuse(codeInvalidGrant, "code_verifier is not that of the request's code_challenge")
	}
	return nil
}

// metadata is RFC 8414, section 2; clients of OpenID Connect find the same below another
// name.
func (p *Portal) metadata(w http.ResponseWriter, _ *http.Request) error {
	at := p.origin()
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "revocation_endpoint": at + "/revoke",
		"device_authorization_endpoint":                  at + "/device_authorization",
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{grantCode, grantDevice, grantExchange},
		"token_endpoint_auth_methods_supported":          []string{"none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	})
	return nil
}
