// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/doorward/doorward/cli/audit"
)

// maxShown bounds what an issuer says and people get to see, in bytes.
const maxShown = 300

// provider is an issuer as its discovery document has it.
type provider struct {
	entry    *entry
	client   *http.Client
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
	// revocation is the endpoint of RFC 7009; empty where there is none.
	revocation string
	// issInAnswer says that the issuer names itself in what the browser brings (RFC 9207).
	issInAnswer bool
}

// discover asks the issuer for its endpoints, and refuses those that are not secure.
func discover(ctx context.Context, e *entry) (*provider, error) {
	if err := secureURL("issuer", e.Issuer); err != nil {
		return nil, err
	}
	client, err := newHTTPClient(e.CAFile)
	if err != nil {
		return nil, err
	}
	return e.ask(ctx, client)
}

// ask is discover with the client to ask with.
func (e *entry) ask(ctx context.Context, client *http.Client) (*provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, client), e.Issuer)
	if err != nil {
		return nil, fmt.Errorf("cannot ask issuer %q: %w", e.Issuer, shown(err))
	}
	var document struct {
		Revocation  string   `json:"revocation_endpoint"`
		Challenges  []string `json:"code_challenge_methods_supported"`
		Scopes      []string `json:"scopes_supported"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		IssInAnswer bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&document); err != nil {
		return nil, fmt.Errorf("cannot read the discovery document of %q: %w", e.Issuer, shown(err))
	}
	endpoint := found.Endpoint()
	for what, address := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL,
		"device_authorization_endpoint": endpoint.DeviceAuthURL, "revocation_endpoint": document.Revocation,
	} {
		if address == "" {
			continue
		}
		if err := secureURL(what+" of issuer "+e.Issuer, address); err != nil {
			return nil, shown(err)
		}
	}
	// An issuer may say nothing of it and still have it.
	if len(document.Challenges) > 0 && !slices.Contains(document.Challenges, "S256") {
		return nil, fmt.Errorf("issuer %q has no PKCE with S256: a code that is read on its way could be used: it cannot be logged in at", e.Issuer)
	}
	p := &provider{
		entry: e, client: client, revocation: document.Revocation, issInAnswer: document.IssInAnswer,
		config:   oauth2.Config{ClientID: e.ClientID, Endpoint: endpoint, Scopes: scopes(e.Scopes, document.Scopes)},
		verifier: found.VerifierContext(oidc.ClientContext(ctx, client), &oidc.Config{ClientID: e.ClientID}),
	}
	p.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	if e.ClientSecretFile != "" {
		if p.config.ClientSecret, err = readToken(e.ClientSecretFile); err != nil {
			return nil, fmt.Errorf("cannot read the client's secret: %w", err)
		}
		if len(document.AuthMethods) == 0 || slices.Contains(document.AuthMethods, "client_secret_basic") {
			p.config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		}
	}
	return p, nil
}

// scopes are what to ask for: an identity, what the user asks for, and the right to renew
// where the issuer says it gives it so. Some refuse a scope that they do not know.
func scopes(asked, supported []string) []string {
	all := append([]string{oidc.ScopeOpenID}, asked...)
	if slices.Contains(supported, oidc.ScopeOfflineAccess) {
		all = append(all, oidc.ScopeOfflineAccess)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// with gives the context the client to ask with.
func (p *provider) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// take verifies what the issuer gave and puts it into the entry. A nonce is what was sent
// with the request; empty where the way has none.
func (p *provider) take(ctx context.Context, got *oauth2.Token, nonce string) error {
	if p.entry.Portal {
		return p.takeFromPortal(got)
	}
	raw, ok := got.Extra("id_token").(string)
	if !ok || raw == "" {
		return errors.New("the issuer gave no ID token: is the scope openid allowed to this client?")
	}
	if len(raw) > maxToken {
		return fmt.Errorf("the issuer's ID token is too long: %d bytes, a proxy takes %d: ask for fewer scopes", len(raw), maxToken)
	}
	token, err := p.verifier.Verify(p.with(ctx), raw)
	if err != nil {
		return fmt.Errorf("the issuer's ID token is not good: %w", shown(err))
	}
	var claims struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := token.Claims(&claims); err != nil {
		return fmt.Errorf("the issuer's ID token is not good: %w", shown(err))
	}
	// OpenID Connect Core 1.0, section 3.1.3.7, steps 4 and 5.
	if len(token.Audience) > 1 && claims.AuthorizedParty == "" || claims.AuthorizedParty != "" && claims.AuthorizedParty != p.entry.ClientID {
		return fmt.Errorf("the issuer's ID token is for another client: azp %q", safe(claims.AuthorizedParty))
	}
	switch {
	case nonce != "" && subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1:
		return errors.New("the issuer's ID token is of another login: its nonce is not ours: log in again")
	// Section 12.2: a renewed token may leave it out.
	case nonce == "" && token.Nonce != "" && token.Nonce != p.entry.Nonce:
		return errors.New("the issuer's ID token is of another login: its nonce is not ours: log in again")
	case p.entry.Subject != "" && p.entry.Subject != token.Subject:
		return errors.New("the issuer's ID token is of somebody else than the login was: log in again")
	}
	if !token.Expiry.After(time.Now()) {
		return errors.New("the issuer's ID token has expired: is this machine's clock right?")
	}
	p.entry.Subject, p.entry.IDToken = token.Subject, raw
	if nonce != "" {
		p.entry.Nonce = nonce
	}
	if got.RefreshToken != "" {
		p.entry.RefreshToken = got.RefreshToken
	}
	return nil
}

// shownError is an error whose text draws nothing on a terminal, and is bounded.
type shownError struct{ error }

func (e shownError) Error() string { return safe(e.error.Error()) }
func (e shownError) Unwrap() error { return e.error }

// shown is for errors that hold what an issuer said.
func shown(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) {
		// The body may hold what is not for the terminal.
		text := answer.ErrorCode
		if answer.ErrorDescription != "" {
			text += ": " + answer.ErrorDescription
		}
		if text == "" && answer.Response != nil {
			text = "HTTP status " + answer.Response.Status
		}
		return fmt.Errorf("%s%w", safe(text), hidden{err})
	}
	return shownError{err}
}

// hidden is there for errors.As, and says nothing.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

func safe(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return audit.Safe(text)
}

// readToken reads a file that holds one token or secret.
func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	return oneToken(file, fmt.Sprintf("file %q", path))
}
