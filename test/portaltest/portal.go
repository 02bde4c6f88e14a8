// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package portaltest is a login portal for tests of those who ask it: the device authorization
// grant (RFC 8628) with PKCE (RFC 7636), over TLS, and persons who say yes or no at once.
// It gives out whatever token it is told to, so it belongs in no product.
package portaltest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/snapshot"
)

const grantType = "urn:ietf:params:oauth:grant-type:device_code"

// Portal is a login portal. It is safe for concurrent use.
type Portal struct {
	server *httptest.Server

	mu sync.Mutex // guards what follows
	// asked are the forms of all who asked for a code, polls how often tokens were asked for.
	asked []url.Values
	polls int
	codes map[string]*code // by device code
	back  []string
	// change, where set, edits what is answered to who asks for a code.
	change func(map[string]any)
	// before, where set, answers a request instead, and says that it did.
	before func(w http.ResponseWriter, r *http.Request) bool
	// polled has a value for each time that a token was asked for, as long as there is room.
	polled chan struct{}
}

type code struct {
	user, challenge, token string
	denied, used           bool
}

// Start starts one that asks to be polled every second, and stops it with the test.
func Start(tb testing.TB) *Portal {
	tb.Helper()
	p := &Portal{codes: map[string]*code{}, polled: make(chan struct{}, 1024)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /device_authorization", p.authorize)
	mux.HandleFunc("POST /token", p.redeem)
	mux.HandleFunc("POST /revoke", p.revoke)
	p.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		before := p.before
		p.mu.Unlock()
		if before == nil || !before(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	tb.Cleanup(p.server.Close)
	return p
}

// At is how a snapshot names it.
func (p *Portal) At() snapshot.LoginPortal {
	return snapshot.LoginPortal{
		URL: p.server.URL, CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})),
	}
}

// Answer has what is answered to who asks for a code changed.
func (p *Portal) Answer(change func(map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = change
}

// Before has requests answered otherwise; nil ends that.
func (p *Portal) Before(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = f
}

// Asked are the forms of those who asked for a code.
func (p *Portal) Asked() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.asked...)
}

// Polled has a value for each time that a token was asked for.
func (p *Portal) Polled() <-chan struct{} { return p.polled }

// Polls is how often tokens were asked for.
func (p *Portal) Polls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.polls
}

// GivenBack are the tokens that were given back (RFC 7009) by who knew what they are bound to.
func (p *Portal) GivenBack() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.back...)
}

// Approve has a person say yes; the device gets the token. False where no device has the code.
func (p *Portal) Approve(user, token string) bool {
	return p.decide(user, func(c *code) { c.token = token })
}

// Deny has a person say no.
func (p *Portal) Deny(user string) bool { return p.decide(user, func(c *code) { c.denied = true }) }

func (p *Portal) decide(user string, f func(*code)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.codes {
		if c.user == user {
			f(c)
			return true
		}
	}
	return false
}

func (p *Portal) authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("code_challenge_method") != "S256" {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.PostForm)
	device, c := rand.Text(), &code{user: fmt.Sprintf("CODE-%04d", len(p.asked)), challenge: r.PostForm.Get("code_challenge")}
	p.codes[device] = c
	values := map[string]any{
		"device_code": device, "user_code": c.user, "verification_uri": p.server.URL + "/device",
		"verification_uri_complete": p.server.URL + "/device?user_code=" + c.user, "expires_in": 600, "interval": 1,
	}
	if p.change != nil {
		p.change(values)
	}
	answer(w, http.StatusOK, values)
}

func (p *Portal) redeem(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // a form that cannot be read has no device_code
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls++
	select {
	case p.polled <- struct{}{}:
	default:
	}
	c := p.codes[r.PostForm.Get("device_code")]
	verifier := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	refused := ""
	switch {
	case r.PostForm.Get("grant_type") != grantType:
		refused = "unsupported_grant_type"
	case c == nil:
		refused = "expired_token"
	case c.challenge != base64.RawURLEncoding.EncodeToString(verifier[:]), c.used:
		refused = "invalid_grant"
	case c.denied:
		refused = "access_denied"
	case c.token == "":
		refused = "authorization_pending"
	}
	if refused != "" {
		answer(w, http.StatusBadRequest, map[string]any{"error": refused})
		return
	}
	c.used = true
	answer(w, http.StatusOK, map[string]any{"access_token": c.token, "token_type": "Bearer", "expires_in": 3600})
}

func (p *Portal) revoke(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // a form that cannot be read has no token
	p.mu.Lock()
	defer p.mu.Unlock()
	verifier := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	for _, c := range p.codes {
		if c.used && c.token == r.PostForm.Get("token") && c.challenge == base64.RawURLEncoding.EncodeToString(verifier[:]) {
			p.back = append(p.back, c.token)
		}
	}
	answer(w, http.StatusOK, map[string]any{})
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client that went away learns nothing of it
}
