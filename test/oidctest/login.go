// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidctest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// The paths of logging in, below the issuer's URL.
const (
	AuthorizePath = "/authorize"
	TokenPath     = "/token"
	DevicePath    = "/device"
	ActivatePath  = "/activate"
	RevokePath    = "/revoke"
)

// Client is who may log people in. Whoever comes with a browser is the person of Claims,
// and is asked for nothing, where there is no Ask.
type Client struct {
	ID string
	// Secret is asked for where it is set.
	Secret string
	// Redirect is the only redirect_uri of a client that is no program on its user's
	// machine; any on loopback where empty.
	Redirect string
	// Claims are those of its ID tokens, beside iss, iat, exp, aud and nonce, which they
	// override.
	Claims map[string]any
	// Ask says who has come with a browser, by claims that are added to Claims; nil where it
	// has answered, such as with a page that asks. It is called without a lock.
	Ask func(http.ResponseWriter, *http.Request) map[string]any
	// Answer overrides what the browser brings to the client.
	Answer map[string]string
	// Refresh says whether there are refresh tokens; each can be used once.
	Refresh bool
}

// grant is what a code, a device or a refresh token stands for.
type grant struct {
	client, redirect, challenge, nonce string
	userCode                           string
	approved, denied                   bool
	claims                             map[string]any
}

// logins are the flows under way.
type logins struct {
	clients                 map[string]Client
	codes, devices, refresh map[string]*grant
	asked                   chan struct{} // is closed and made anew when a device asks
}

// Allow adds or replaces a client, and the endpoints to log in by.
func (i *Issuer) Allow(c Client) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.logins.clients == nil {
		i.logins = logins{
			clients: map[string]Client{}, codes: map[string]*grant{}, devices: map[string]*grant{}, refresh: map[string]*grant{}, asked: make(chan struct{}),
		}
		maps.Copy(i.discovery, map[string]any{
			"authorization_endpoint": i.url + AuthorizePath, "token_endpoint": i.url + TokenPath,
			"device_authorization_endpoint": i.url + DevicePath, "revocation_endpoint": i.url + RevokePath,
			"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
			"scopes_supported": []string{"openid", "offline_access", "groups"},
			"authorization_response_iss_parameter_supported": true,
		})
	}
	i.logins.clients[c.ID] = c
}

// Decide waits for a device that asks, and lets its person in, or not.
func (i *Issuer) Decide(ctx context.Context, approve bool) error {
	for {
		i.mu.Lock()
		for _, g := range i.logins.devices {
			if !g.approved && !g.denied {
				g.approved, g.denied = approve, !approve
				i.mu.Unlock()
				return nil
			}
		}
		asked := i.logins.asked
		i.mu.Unlock()
		select {
		case <-asked:
		case <-ctx.Done():
			return fmt.Errorf("no device has asked: %w", ctx.Err())
		}
	}
}

// RefreshTokens says how many are good.
func (i *Issuer) RefreshTokens() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.logins.refresh)
}

// serveLogin answers on the paths of logging in; false where the path is none of them.
func (i *Issuer) serveLogin(w http.ResponseWriter, r *http.Request) bool {
	i.mu.Lock()
	off := i.logins.clients == nil || i.dead
	i.mu.Unlock()
	if off || len(r.URL.Path) < len(i.path) {
		return false
	}
	serve := map[string]func(http.ResponseWriter, *http.Request){
		AuthorizePath: i.authorize, TokenPath: i.token, DevicePath: i.device, ActivatePath: i.activate, RevokePath: i.revoke,
	}[r.URL.Path[len(i.path):]]
	if serve == nil {
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		refuse(w, "invalid_request", err.Error())
		return true
	}
	serve(w, r)
	return true
}

func refuse(w http.ResponseWriter, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description}) //nolint:errchkjson // the client that went away learns nothing
}

func answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // the same
}

// authorize is RFC 6749, section 4.1.1, with PKCE of S256, for public clients on loopback
// (RFC 8252), and for those that have a redirect_uri of their own.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	i.mu.Lock()
	client, known := i.logins.clients[query.Get("client_id")]
	i.mu.Unlock()
	target, err := url.Parse(query.Get("redirect_uri"))
	if !known || err != nil || client.Redirect == "" && target.Scheme != "http" || client.Redirect != "" && target.String() != client.Redirect {
		http.Error(w, "unknown client or redirect_uri", http.StatusBadRequest)
		return
	}
	if address, err := netip.ParseAddr(target.Hostname()); client.Redirect == "" && (err != nil || !address.IsLoopback()) {
		http.Error(w, "redirect_uri is not on loopback", http.StatusBadRequest)
		return
	}
	var claims map[string]any
	if client.Ask != nil {
		if claims = client.Ask(w, r); claims == nil {
			return
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	back := url.Values{"state": {query.Get("state")}, "iss": {i.url}}
	switch {
	case query.Get("response_type") != "code", query.Get("code_challenge_method") != "S256", query.Get("code_challenge") == "":
		back.Set("error", "invalid_request")
	default:
		code := rand.Text()
		i.logins.codes[code] = &grant{client: client.ID, redirect: query.Get("redirect_uri"), challenge: query.Get("code_challenge"), nonce: query.Get("nonce"), claims: claims}
		back.Set("code", code)
	}
	for name, value := range client.Answer {
		back.Del(name)
		if value != "" {
			back.Set(name, value)
		}
	}
	target.RawQuery = back.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound)
}

// device is RFC 8628, section 3.1.
func (i *Issuer) device(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	client, ok := i.client(w, r)
	if !ok {
		return
	}
	code, userCode := rand.Text(), rand.Text()[:4]+"-"+rand.Text()[:4]
	i.logins.devices[code] = &grant{client: client.ID, challenge: r.PostForm.Get("code_challenge"), userCode: userCode}
	close(i.logins.asked)
	i.logins.asked = make(chan struct{})
	answer(w, map[string]any{
		"device_code": code, "user_code": userCode, "expires_in": 300, "interval": 1,
		"verification_uri": i.url + ActivatePath, "verification_uri_complete": i.url + ActivatePath + "?user_code=" + userCode,
	})
}

// activate is where a person enters the code of a device.
func (i *Issuer) activate(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, g := range i.logins.devices {
		if g.userCode == r.URL.Query().Get("user_code") {
			g.approved = true
			fmt.Fprintln(w, "You are logged in on the device.")
			return
		}
	}
	http.Error(w, "no such code", http.StatusNotFound)
}

// client is the client that asks, proven by its secret where it has one.
func (i *Issuer) client(w http.ResponseWriter, r *http.Request) (Client, bool) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	client, known := i.logins.clients[id]
	if r.Method != http.MethodPost || !known || client.Secret != secret {
		refuse(w, "invalid_client", "unknown client, or a wrong secret")
		return Client{}, false
	}
	return client, true
}

// token is RFC 6749, sections 4.1.3 and 6, and RFC 8628, section 3.4.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	client, ok := i.client(w, r)
	if !ok {
		i.mu.Unlock()
		return
	}
	g, fault := i.redeem(client, r.PostForm)
	refresh := ""
	if fault == "" && client.Refresh {
		refresh = rand.Text()
		// A renewed token has no nonce, and proves no verifier.
		i.logins.refresh[refresh] = &grant{client: client.ID, claims: g.claims}
	}
	i.mu.Unlock()
	if fault != "" {
		refuse(w, fault, "see the error's code")
		return
	}
	claims := map[string]any{"aud": client.ID, "iat": time.Now().Unix()}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	maps.Copy(claims, client.Claims)
	maps.Copy(claims, g.claims)
	idToken, err := i.Token(claims)
	if err != nil {
		refuse(w, "server_error", err.Error())
		return
	}
	body := map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 3600, "id_token": idToken}
	if refresh != "" {
		body["refresh_token"] = refresh
	}
	answer(w, body)
}

// redeem takes what a client has, once.
func (i *Issuer) redeem(client Client, form url.Values) (g *grant, fault string) {
	switch form.Get("grant_type") {
	case "authorization_code":
		code := form.Get("code")
		g = i.logins.codes[code]
		delete(i.logins.codes, code)
		if g == nil || g.redirect != form.Get("redirect_uri") {
			return nil, "invalid_grant"
		}
	case "urn:ietf:params:oauth:grant-type:device_code":
		code := form.Get("device_code")
		switch g = i.logins.devices[code]; {
		case g == nil:
			return nil, "expired_token"
		case g.denied:
			return nil, "access_denied"
		case !g.approved:
			return nil, "authorization_pending"
		}
		delete(i.logins.devices, code)
	case "refresh_token":
		token := form.Get("refresh_token")
		g = i.logins.refresh[token]
		delete(i.logins.refresh, token)
	default:
		return nil, "unsupported_grant_type"
	}
	if g == nil || g.client != client.ID {
		return nil, "invalid_grant"
	}
	// RFC 7636, section 4.6.
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if g.challenge != "" && base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		return nil, "invalid_grant"
	}
	return g, ""
}

// revoke is RFC 7009.
func (i *Issuer) revoke(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.client(w, r); ok {
		delete(i.logins.refresh, r.PostForm.Get("token"))
	}
}
