// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// The grant types of the token endpoint.
const (
	grantCode     = "authorization_code"
	grantDevice   = "urn:ietf:params:oauth:grant-type:device_code"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// Token types (RFC 8693, section 3), and the portal's own for client certificates and SSH
// user certificates.
const (
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"     //nolint:gosec // a name
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // a name
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeX509        = "urn:doorward:params:oauth:token-type:x509"
	typeSSH         = "urn:doorward:params:oauth:token-type:ssh"
)

// ClientID is that of the only client for which people log in: the plugin, a public client
// on the machine of its user (RFC 8252).
const ClientID = "kubectl-doorward"

// tokenAnswer is a successful answer (RFC 6749, section 5.1, and RFC 8693, section 2.2.1).
type tokenAnswer struct {
	AccessToken     string `json:"access_token"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	// Credential is the name of the GatewayCredential.
	Credential string `json:"credential"`
}

// token is the token endpoint.
func (p *Portal) token(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	grants := map[string]func(context.Context, url.Values, string) (*issued, error){
		grantCode: p.redeemCode, grantDevice: p.redeemDevice, grantExchange: p.exchange,
	}
	grant := form.Get("grant_type")
	serve := grants[grant]
	if serve == nil {
		return refuse(codeUnsupported, "want grant_type %s, %s or %s", grantCode, grantDevice, grantExchange)
	}
	if grant != grantExchange && form.Has("requested_token_type") {
		return refuse(codeInvalidRequest, "requested_token_type is for grant_type %s: leave it out", grantExchange)
	}
	made, err := serve(r.Context(), form, p.addressOf(r).String())
	if err != nil {
		return err
	}
	spec := &made.object.Spec
	p.counted.Issued(string(spec.Form), grant)
	p.log.Info("Credential issued", append(about(made.object), "grant", grant, "client", p.addressOf(r).String())...)
	answer := tokenAnswer{
		AccessToken: made.secret, TokenType: "Bearer", ExpiresIn: int64(spec.ExpiresAt.Sub(p.now()) / time.Second), Credential: made.object.Name,
	}
	if grant == grantExchange {
		answer.IssuedTokenType = typeJWT
	}
	if requested := form.Get("requested_token_type"); requested == typeX509 || requested == typeSSH {
		answer.TokenType, answer.IssuedTokenType = "N_A", requested
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// about are key and value pairs for the log, of whom a credential is issued to. None of
// them proves anything.
func about(c *v1alpha1.GatewayCredential) []any {
	values := append([]any{"gatewayCredential", c.Name, "form", c.Spec.Form, "expires", c.Spec.ExpiresAt.UTC().Format(time.RFC3339)}, ofWhom(c.Spec.IdentityProvider, &c.Spec.Owner)...)
	if actor := c.Spec.Actor; actor.Subject != "" {
		values = append(values, "actorIssuer", actor.Issuer, "actorSubject", actor.Subject)
	}
	if c.Spec.DerivedFrom != "" {
		values = append(values, "derivedFrom", c.Spec.DerivedFrom)
	}
	if c.Spec.PublicKeyDigest != "" {
		values = append(values, "publicKeyDigest", c.Spec.PublicKeyDigest)
	}
	return values
}

func ofWhom(provider string, owner *v1alpha1.CredentialOwner) []any {
	return []any{"provider", provider, "issuer", owner.Issuer, "subject", owner.Subject}
}

// formOf reads the parameters of a POST, none of which may come twice (RFC 6749, section
// 3.2). Those of the URL do not count: URLs are logged.
func formOf(r *http.Request) (url.Values, error) {
	var large *http.MaxBytesError
	switch err := r.ParseForm(); {
	case errors.As(err, &large):
		return nil, refuse(codeInvalidRequest, "the parameters are too large: at most %d bytes are allowed", large.Limit)
	case err != nil:
		return nil, refuse(codeInvalidRequest, "the parameters cannot be read: want application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, refuse(codeInvalidRequest, "parameters in the URL: want them in the body")
	}
	return single(r.PostForm)
}

// single refuses parameters that come twice.
func single(values url.Values) (url.Values, error) {
	for name, all := range values {
		if len(all) > 1 {
			return nil, refuse(codeInvalidRequest, "a parameter comes twice: %q", shortened(name))
		}
	}
	return values, nil
}

func shortened(text string) string {
	if len(text) > 64 {
		return text[:64] + "..."
	}
	return text
}

// checkClient refuses all clients but the plugin.
func checkClient(form url.Values) error {
	if got := form.Get("client_id"); got != ClientID {
		return refuse(codeInvalidClient, "unknown client_id: %q: want %q", shortened(got), ClientID)
	}
	return nil
}
