// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
)

// ServiceProviderSettings are those of the portal at one SAML identity provider.
type ServiceProviderSettings struct {
	// EntityID is the portal's, and where its metadata is; ACSURL takes assertions.
	EntityID, ACSURL string
	// Key and Certificate sign requests and decrypt assertions.
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// SAMLRequest has a browser go to a SAML identity provider: to URL, where Form is nil (the
// HTTP-Redirect binding), or with Form to URL (the HTTP-POST binding).
type SAMLRequest struct {
	URL  string
	Form url.Values
}

// SAMLAssertion is a proven assertion.
type SAMLAssertion struct {
	// Issuer and ID name it among all others.
	Issuer, ID string
	// Claims is a JSON object: iss, sub and the attributes.
	Claims json.RawMessage
	// SessionNotOnOrAfter is when the identity provider ends the session; zero where it
	// does not say.
	SessionNotOnOrAfter time.Time
}

// ErrAssertion is wrapped by errors that are about what a browser brought, not about the
// portal.
var ErrAssertion = errors.New("assertion refused")

// ServiceProvider is SAML 2.0 with one identity provider.
type ServiceProvider interface {
	// AuthnRequest makes the request of a login; its answer repeats the id.
	AuthnRequest(id, relayState string, now time.Time) (SAMLRequest, error)
	// Metadata is the portal's own document.
	Metadata() ([]byte, error)
	// Response proves an answer, in base64, to the request of an id.
	Response(encoded, requestID string, now time.Time) (SAMLAssertion, error)
}

// requestID is an xs:ID, which begins with no digit.
func requestID(flow string) string { return "id-" + flow }

// serviceProvider makes the service provider of an accepted provider of type SAML.
func (p *Portal) serviceProvider(ctx context.Context, name string) (*v1alpha1.IdentityProvider, ServiceProvider, error) {
	object, _, err := p.pick(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if object.Name != name || object.Spec.Type != v1alpha1.IdentityProviderSAML {
		return nil, nil, refuse(codeInvalidRequest, "IdentityProvider %q is not of type SAML", shortened(name))
	}
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	made, err := p.options.SAML(object, ServiceProviderSettings{
		EntityID: p.origin() + "/saml/" + name + "/metadata", ACSURL: p.origin() + "/saml/" + name + "/acs",
		Key: keys.SAMLKey, Certificate: keys.SAMLCertificate,
	})
	if err != nil {
		return nil, nil, unavailable(err)
	}
	return object, made, nil
}

func (p *Portal) samlRequest(ctx context.Context, object *v1alpha1.IdentityProvider, id string) (target string, form url.Values, err error) {
	_, provider, err := p.serviceProvider(ctx, object.Name)
	if err != nil {
		return "", nil, err
	}
	// RelayState has at most 80 bytes (saml-bindings-2.0-os, section 3.4.3).
	request, err := provider.AuthnRequest(requestID(id), id, p.now())
	if err != nil {
		return "", nil, unavailable(err)
	}
	return request.URL, request.Form, nil
}

func (p *Portal) samlMetadata(w http.ResponseWriter, r *http.Request) error {
	_, provider, err := p.serviceProvider(r.Context(), r.PathValue("provider"))
	if err != nil {
		return err
	}
	document, err := provider.Metadata()
	if err != nil {
		return unavailable(err)
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(document) //nolint:gosec // XML of ours; the client that went away learns nothing of it
	return nil
}

// consumeAssertion is the assertion consumer service, with the HTTP-POST binding. The
// browser must have begun the login that the assertion answers: one that comes unasked
// for is refused.
func (p *Portal) consumeAssertion(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	id := form.Get("RelayState")
	f, err := p.resume(r, id)
	if err != nil {
		return err
	}
	if f.Provider != r.PathValue("provider") || f.Nonce != "" {
		return refuse(codeInvalidRequest, "the answer is of another identity provider than was asked: begin again in the terminal")
	}
	object, provider, err := p.serviceProvider(r.Context(), f.Provider)
	if err != nil {
		return err
	}
	assertion, err := provider.Response(form.Get("SAMLResponse"), requestID(id), p.now())
	if errors.Is(err, ErrAssertion) || errors.Is(err, identity.ErrRejected) {
		return &fault{code: codeInvalidGrant, text: "the identity provider's answer is not good: begin again in the terminal; the manager's log says what is wrong with it", cause: err}
	}
	if err != nil {
		return unavailable(err)
	}
	principal, err := p.options.Judge(r.Context(), object, assertion.Claims)
	if err != nil {
		return ofVerifier("the assertion", err)
	}
	found := &proof{Provider: object.Name, Owner: ownerOf(&principal), Kind: principal.Kind, NotAfter: p.now().Add(lifetime(object))}
	if err := json.Unmarshal(assertion.Claims, &found.Claims); err != nil {
		return unavailable(err)
	}
	found.Claims = found.Claims.withoutTimes()
	if end := assertion.SessionNotOnOrAfter; !end.IsZero() {
		found.NotAfter = earlier(found.NotAfter, end)
	}
	// Whatever becomes of one assertion is one credential.
	return p.ask(w, r, id, f, found, onceName("saml", assertion.Issuer+"\n"+assertion.ID))
}
