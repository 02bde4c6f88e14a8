// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/saml"
)

// requestID is an xs:ID, which begins with no digit.
func requestID(flow string) string { return "id-" + flow }

// serviceProvider makes the service provider of an accepted provider of type SAML.
func (p *Portal) serviceProvider(ctx context.Context, name string) (*v1alpha1.IdentityProvider, *saml.ServiceProvider, error) {
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
	spec := object.Spec.SAML
	made, err := saml.New(saml.Config{
		EntityID: object.SAMLEntityID(), ACSURL: p.origin() + "/saml/" + name + "/acs", Metadata: []byte(spec.Metadata), IdPEntityID: spec.EntityID,
		NameIDFormat: spec.NameIDFormat, EncryptionRequired: spec.AssertionEncryption != v1alpha1.SAMLAssertionEncryptionOptional,
		ClockSkew: time.Duration(spec.ClockSkewSeconds) * time.Second, Key: keys.SAMLKey, Certificate: keys.SAMLCertificate,
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
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(provider.Metadata()) //nolint:gosec // XML of ours; the client that went away learns nothing of it
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
	if err != nil {
		return ofAssertion(err)
	}
	raw, err := assertion.Claims()
	if err != nil {
		return ofAssertion(err)
	}
	found := &proof{Provider: object.Name, NotAfter: p.now().Add(lifetime(object)), RememberUntil: assertion.NotOnOrAfter}
	if end := assertion.SessionNotOnOrAfter; !end.IsZero() {
		found.NotAfter = earlier(found.NotAfter, end)
	}
	found.ID = identity.ProofID("saml", assertion.Issuer, assertion.ID)
	once := onceName("saml", assertion.Issuer+"\n"+assertion.ID)
	principal, err := p.vouch(r.Context(), "the assertion", statement(found, once, raw, found.NotAfter, p.now()))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &found.Claims); err != nil {
		return unavailable(err)
	}
	found.Owner = ownerOf(principal)
	// Whatever becomes of one assertion is one credential.
	return p.ask(w, r, id, f, found, once)
}

// ofAssertion tells what a browser brought from what is the portal's own trouble. Why an
// assertion is refused is for the administrator: whoever forges one learns nothing.
func ofAssertion(err error) error {
	if !errors.Is(err, saml.ErrRejected) {
		return unavailable(err)
	}
	return &fault{code: codeInvalidGrant, text: "the identity provider's answer is not good: begin again in the terminal; the manager's log says what is wrong with it", cause: err}
}
