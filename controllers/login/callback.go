// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/doorward/doorward/api/v1alpha1"
)

// authorizeURL is where a person logs in: with state, nonce and PKCE of S256.
func (u *upstreams) authorizeURL(ctx context.Context, object *v1alpha1.IdentityProvider, state, nonce, secret string) (string, error) {
	at, err := u.of(ctx, object)
	if err != nil {
		return "", err
	}
	config, err := u.config(ctx, object, at, false)
	if err != nil {
		return "", err
	}
	return config.AuthCodeURL(state, oauth2.SetAuthURLParam("nonce", nonce), oauth2.S256ChallengeOption(secret)), nil
}

// exchange changes a code for an ID token (OpenID Connect Core 1.0, section 3.1.3).
func (u *upstreams) exchange(ctx context.Context, object *v1alpha1.IdentityProvider, code, secret string) (string, error) {
	at, err := u.of(ctx, object)
	if err != nil {
		return "", err
	}
	config, err := u.config(ctx, object, at, true)
	if err != nil {
		return "", err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, at.client)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(secret))
	var answer *oauth2.RetrieveError
	switch {
	case errors.As(err, &answer) && answer.ErrorCode == "" && answer.Response != nil:
		// What the body holds, nobody knows: it is not logged.
		return "", &fault{
			code: codeUnavailable, text: fmt.Sprintf("the issuer of IdentityProvider %q gives no token now: try again later", object.Name),
			cause: fmt.Errorf("the token endpoint answers %s, with no error of RFC 6749", describe(answer.Response.Status)),
		}
	case errors.As(err, &answer):
		// Its description is the issuer's, for the log; the body may hold more.
		return "", &fault{
			code: codeInvalidGrant, text: fmt.Sprintf("the issuer of IdentityProvider %q gives no token: %s: begin again in the terminal", object.Name, describe(answer.ErrorCode)),
			cause: errors.New(describe(answer.ErrorDescription)),
		}
	case err != nil:
		return "", &fault{code: codeUnavailable, text: fmt.Sprintf("the issuer of IdentityProvider %q gives no token now: try again later", object.Name), cause: errors.New(describe(err.Error()))}
	}
	raw, isText := token.Extra("id_token").(string)
	if !isText || raw == "" {
		return "", refuse(codeInvalidGrant, "the issuer of IdentityProvider %q gave no ID token: is the scope openid allowed to the portal's client?", object.Name)
	}
	return raw, nil
}

// callback is where an issuer sends the browser back to (RFC 6749, section 4.1.2).
func (p *Portal) callback(w http.ResponseWriter, r *http.Request) error {
	query, err := single(r.URL.Query())
	if err != nil {
		return err
	}
	id := query.Get("state")
	f, err := p.resume(r, id)
	if err != nil {
		return err
	}
	// An answer of another provider must not be taken to this one.
	if f.Provider != r.PathValue("provider") || f.Nonce == "" {
		return refuse(codeInvalidRequest, "the answer is of another identity provider than was asked: begin again in the terminal")
	}
	object, _, err := p.pick(r.Context(), f.Provider)
	if err != nil {
		return err
	}
	at, err := p.upstreams.of(r.Context(), object)
	if err != nil {
		return err
	}
	switch {
	case query.Has("iss") && query.Get("iss") != at.Issuer, at.IssInAnswer && !query.Has("iss"): // RFC 9207, section 2.4
		return refuse(codeInvalidRequest, "the answer is of another issuer than was asked: begin again in the terminal")
	case query.Has("error"):
		return refuse(codeAccessDenied, "the issuer of IdentityProvider %q refuses: %s", object.Name, describe(query.Get("error")))
	case query.Get("code") == "":
		return refuse(codeInvalidRequest, "the issuer's answer holds no code: begin again in the terminal")
	}
	raw, err := p.upstreams.exchange(r.Context(), object, query.Get("code"), f.Verifier)
	if err != nil {
		return err
	}
	found, err := p.prove(r.Context(), "the issuer's ID token", raw)
	if err != nil {
		return err
	}
	if err := ours(object, f, found); err != nil {
		return faultOf(err).about(found)
	}
	return p.ask(w, r, id, f, found, onceName("code", randomName()))
}

// ours says whether an ID token is of this login, and was issued to the portal (OpenID
// Connect Core 1.0, section 3.1.3.7): the provider may have other audiences.
func ours(object *v1alpha1.IdentityProvider, f *flow, found *proof) error {
	nonce, err := found.Claims.text("nonce")
	if err != nil || subtle.ConstantTimeCompare([]byte(nonce), []byte(f.Nonce)) != 1 || found.Provider != object.Name {
		return refuse(codeInvalidGrant, "the issuer's ID token is of another login: begin again in the terminal")
	}
	if party, err := found.Claims.text("azp"); err == nil && party != object.Spec.Login.ClientID {
		return refuse(codeInvalidGrant, "the issuer's ID token was issued to another client")
	}
	if !found.Claims.names("aud", object.Spec.Login.ClientID) {
		return refuse(codeInvalidGrant, "the issuer's ID token is for another client")
	}
	return nil
}
