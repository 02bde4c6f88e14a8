// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"time"

	"golang.org/x/oauth2"

	"github.com/doorward/doorward/api/v1alpha1"
)

const (
	// flowLife is how long a person has to log in.
	flowLife = maxSealed
	// codeLife is how long an authorization code is good.
	codeLife = 2 * time.Minute
)

// flowCookie begins the name of the cookie of a flow, which binds it to the browser that
// began it. Browsers take the prefix of secure hosts alone, for the whole host
// (RFC 6265bis, section 4.1.3.2).
const flowCookie = "__Host-doorward-"

var flowID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// asking is who waits for the end of a flow.
type asking struct {
	// Redirect, State and Challenge are those of a program on the person's machine.
	Redirect  string `json:"r,omitempty"`
	State     string `json:"s,omitempty"`
	Challenge string `json:"c,omitempty"`
	// Device is the user code of a device; Address where it is, if that is known.
	// Connection is what a proxy's device is for, and Address where the caller is, then.
	Device     string `json:"d,omitempty"`
	Address    string `json:"a,omitempty"`
	Connection string `json:"n,omitempty"`
}

// flow is a login under way, sealed in its cookie.
type flow struct {
	Provider string `json:"p"`
	Asking   asking `json:"a"`
	Nonce    string `json:"n,omitempty"`
	Verifier string `json:"v,omitempty"`
}

// begin sends the browser to a provider.
func (p *Portal) begin(w http.ResponseWriter, r *http.Request, object *v1alpha1.IdentityProvider, who asking) error {
	id, f := randomName(), flow{Provider: object.Name, Asking: who}
	saml := object.Spec.Type == v1alpha1.IdentityProviderSAML
	var target string
	var form url.Values
	var err error
	if saml {
		target, form, err = p.samlRequest(r.Context(), object, id)
	} else {
		f.Nonce, f.Verifier = randomName(), oauth2.GenerateVerifier()
		target, err = p.upstreams.authorizeURL(r.Context(), object, id, f.Nonce, f.Verifier)
	}
	if err != nil {
		return err
	}
	text, err := p.seal(r.Context(), "flow/"+id, f, flowLife)
	if err != nil {
		return err
	}
	cookie := &http.Cookie{
		Name: flowCookie + id, Value: text, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(flowLife / time.Second),
	}
	if saml {
		// A SAML identity provider has the browser send a form from its own site.
		cookie.SameSite = http.SameSiteNoneMode
	}
	http.SetCookie(w, cookie)
	if form != nil {
		leads(w, "https:")
		return p.show(w, http.StatusOK, "post", "Log in", postForm(target, form))
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// field is a hidden one.
type field struct{ Name, Value string }

func postForm(target string, form url.Values) any {
	var fields []field
	for name := range form {
		fields = append(fields, field{Name: name, Value: form.Get(name)})
	}
	return struct {
		Action string
		Fields []field
	}{target, fields}
}

// resume finds the flow of an id in the browser's cookie. Whoever has no such cookie did
// not begin it: an answer that somebody else's browser got is good for nothing here.
func (p *Portal) resume(r *http.Request, id string) (*flow, error) {
	foreign := refuse(codeInvalidRequest, "this browser did not begin that login, or it took more than %d minutes: begin again in the terminal", int(flowLife.Minutes()))
	if !flowID.MatchString(id) {
		return nil, foreign
	}
	cookies := r.CookiesNamed(flowCookie + id)
	if len(cookies) != 1 {
		return nil, foreign
	}
	f := &flow{}
	keys, err := p.keys.Keys(r.Context())
	if err != nil {
		return nil, unavailable(err)
	}
	if err := keys.sealer.open("flow/"+id, cookies[0].Value, f, p.now()); err != nil {
		return nil, foreign
	}
	return f, nil
}

// end has the browser forget a flow.
func end(w http.ResponseWriter, id string) {
	http.SetCookie(w, &http.Cookie{Name: flowCookie + id, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}

func (p *Portal) seal(ctx context.Context, purpose string, value any, life time.Duration) (string, error) {
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return "", unavailable(err)
	}
	text, err := keys.sealer.seal(purpose, value, p.now().Add(life))
	if err != nil {
		return "", unavailable(err)
	}
	return text, nil
}

// consent is what a person is asked to confirm, sealed in the page that asks.
type consent struct {
	Asking asking `json:"a"`
	Proof  proof  `json:"p"`
	// Once names the one credential that comes of it.
	Once string `json:"o"`
}

// ask shows what was asked for, and by whom: a program that has opened a browser may be
// anybody's (RFC 8252, section 8.6, and RFC 8628, section 5.4).
func (p *Portal) ask(w http.ResponseWriter, r *http.Request, id string, f *flow, found *proof, once string) error {
	text, err := p.seal(r.Context(), "consent/"+id, consent{Asking: f.Asking, Proof: *found, Once: once}, flowLife)
	if err != nil {
		return err
	}
	address := f.Asking.Address
	if f.Asking.Device == "" {
		target, err := url.Parse(f.Asking.Redirect)
		if err != nil {
			return refuse(codeInvalidRequest, "invalid redirect_uri")
		}
		address = target.Host
		leads(w, formTarget(target))
	}
	return p.show(w, http.StatusOK, "confirm", "Log in as "+found.Owner.Username, struct {
		Flow, Consent, User, Provider, Address, Code, Connection string
		Lifetime                                                 time.Duration
	}{id, text, found.Owner.Username, found.Provider, address, spaced(f.Asking.Device), f.Asking.Connection, found.NotAfter.Sub(p.now()).Round(time.Minute)})
}

// formTarget is a loopback address in the words of a Content-Security-Policy, which has
// none for addresses of IPv6.
func formTarget(target *url.URL) string {
	if address, err := netip.ParseAddr(target.Hostname()); err == nil && address.Is4() {
		return "http://" + target.Host
	}
	return "http:"
}

// confirm ends a flow: the person has decided.
func (p *Portal) confirm(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	id := form.Get("flow")
	if _, err := p.resume(r, id); err != nil {
		return err
	}
	keys, err := p.keys.Keys(r.Context())
	if err != nil {
		return unavailable(err)
	}
	var c consent
	if err := keys.sealer.open("consent/"+id, form.Get("consent"), &c, p.now()); err != nil {
		return refuse(codeInvalidRequest, "this page is too old: begin again in the terminal")
	}
	end(w, id)
	allowed := form.Get("decision") == "allow"
	switch {
	case c.Asking.Device != "" && !allowed:
		return p.refuseDevice(w, r, &c)
	case c.Asking.Device != "":
		return p.approveDevice(w, r, &c)
	case !allowed:
		return p.back(w, r, &c.Asking, url.Values{"error": {codeAccessDenied}, "error_description": {"the person has said no"}})
	}
	code, err := p.seal(r.Context(), "code", c, codeLife)
	if err != nil {
		return err
	}
	return p.back(w, r, &c.Asking, url.Values{"code": {code}})
}

// back sends the browser back to the program that began (RFC 6749, section 4.1.2), with
// the portal's own name (RFC 9207).
func (p *Portal) back(w http.ResponseWriter, r *http.Request, who *asking, answer url.Values) error {
	target, err := loopback(who.Redirect)
	if err != nil {
		return err
	}
	answer.Set("iss", p.origin())
	if who.State != "" {
		answer.Set("state", who.State)
	}
	target.RawQuery = answer.Encode()
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
	return nil
}
