// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/egress"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := oidctest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestRotation (checklist 28): a new key is learned when a token names it, a
// withdrawn one is believed no more.
func TestRotation(t *testing.T) {
	server := startIssuer(t)
	v, clock := verifierOf(t, configOf(server))
	lasting := alice("exp", time.Now().Add(72*time.Hour).Unix())
	before := tokenOf(t, server, lasting)
	if _, err := verify(t, v, before); err != nil {
		t.Fatal(err)
	}
	if err := server.Rotate(newKey(t), true); err != nil {
		t.Fatal(err)
	}
	after := tokenOf(t, server, lasting)
	for _, token := range []string{after, before} {
		if _, err := verify(t, v, token); err != nil {
			t.Errorf("Verify = %v, want both keys believed while both are published", err)
		}
	}
	if n := server.Requests(oidctest.KeysPath); n != 2 {
		t.Errorf("%d requests for keys, want 2: at first and for the new key", n)
	}
	if err := server.Rotate(newKey(t), false); err != nil {
		t.Fatal(err)
	}
	clock.advance(refreshAfter + time.Second)
	// The token that finds the keys old is judged by them and starts the fetch.
	if _, err := verify(t, v, before); err != nil {
		t.Fatal(err)
	}
	awaitFetch(v)
	if _, err := verify(t, v, before); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v, want a withdrawn key refused after %s", err, refreshAfter)
	}
}

// TestRotationWhileNobodyCame (checklist 28): keys that are hours old judge nobody before
// the issuer was asked, and only where it does not answer.
func TestRotationWhileNobodyCame(t *testing.T) {
	server := startIssuer(t)
	v, clock := verifierOf(t, configOf(server))
	lasting := alice("exp", time.Now().Add(72*time.Hour).Unix())
	before := tokenOf(t, server, lasting)
	if _, err := verify(t, v, before); err != nil {
		t.Fatal(err)
	}
	if err := server.Rotate(newKey(t), false); err != nil {
		t.Fatal(err)
	}
	server.SetOutage(true)
	clock.advance(waitAfter + time.Second)
	if _, err := verify(t, v, before); err != nil {
		t.Errorf("Verify = %v, want known keys to serve while the issuer is away", err)
	}
	server.SetOutage(false)
	clock.advance(waitAfter)
	if _, err := verify(t, v, before); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v, want a key that was withdrawn hours ago refused at once", err)
	}
	if _, err := verify(t, v, tokenOf(t, server, lasting)); err != nil {
		t.Errorf("Verify = %v, want the key of now believed", err)
	}
}

// TestOutageKeepsNobodyWaiting: while the issuer is away, who comes after a failure is
// judged by the known keys at once.
func TestOutageKeepsNobodyWaiting(t *testing.T) {
	server := startIssuer(t)
	v, clock := verifierOf(t, configOf(server))
	if _, err := verify(t, v, tokenOf(t, server, alice())); err != nil {
		t.Fatal(err)
	}
	server.SetOutage(true)
	clock.advance(waitAfter + time.Second)
	if _, wait, _ := v.keys.look(""); wait == nil {
		t.Fatal("nobody waits for the first try")
	}
	awaitFetch(v)
	clock.advance(lastBackoff)
	if found, wait, err := v.keys.look(""); len(found) == 0 || wait != nil || err != nil {
		t.Errorf("look = %d keys, %v, %v, want the known keys", len(found), wait, err)
	}
	awaitFetch(v)
}

// awaitFetch returns when the fetch under way, if any, has ended.
func awaitFetch(v *Verifier) {
	v.keys.mu.Lock()
	running := v.keys.running
	v.keys.mu.Unlock()
	if running != nil {
		<-running.done
	}
}

// TestOutage (checklist 28): known keys serve while the issuer is away, unknown
// ones are no caller's fault, and nobody is believed without a key.
func TestOutage(t *testing.T) {
	server := startIssuer(t)
	v, clock := verifierOf(t, configOf(server))
	token := tokenOf(t, server, alice("exp", time.Now().Add(72*time.Hour).Unix()))
	if _, err := verify(t, v, token); err != nil {
		t.Fatal(err)
	}
	server.SetOutage(true)
	for range 3 {
		clock.advance(2 * time.Hour)
		if _, err := verify(t, v, token); err != nil {
			t.Fatalf("Verify = %v, want known keys to serve while the issuer is away", err)
		}
		awaitFetch(v)
	}
	old := server.SigningKey()
	if err := server.Rotate(newKey(t), true); err != nil {
		t.Fatal(err)
	}
	clock.advance(lastBackoff)
	unknown := tokenOf(t, server, alice("exp", time.Now().Add(72*time.Hour).Unix()))
	_, err := verify(t, v, unknown)
	if err == nil || errors.Is(err, identity.ErrRejected) || !errors.Is(err, errUnavailable) {
		t.Errorf("Verify = %v, want an error that is not the caller's fault", err)
	}
	clock.advance(keepFor)
	if _, err := verify(t, v, token); !errors.Is(err, errUnavailable) {
		t.Errorf("Verify = %v, want keys believed no longer than %s", err, keepFor)
	}
	server.SetOutage(false)
	clock.advance(lastBackoff)
	if _, err := verify(t, v, token); err != nil {
		t.Errorf("Verify = %v after the outage, key %q", err, old.KeyID)
	}
}

// TestFirstKeysUnavailable: an issuer that was never reached is asked again,
// but not by every token.
func TestFirstKeysUnavailable(t *testing.T) {
	server := startIssuer(t)
	server.SetOutage(true)
	v, clock := verifierOf(t, configOf(server))
	token := tokenOf(t, server, alice())
	for range 20 {
		if _, err := verify(t, v, token); !errors.Is(err, errUnavailable) || errors.Is(err, identity.ErrRejected) {
			t.Fatalf("Verify = %v, want unavailable keys", err)
		}
	}
	if n := server.Requests(oidctest.DiscoveryPath); n != 1 {
		t.Errorf("%d requests, want 1 before the pause is over", n)
	}
	server.SetOutage(false)
	clock.advance(firstBackoff)
	if _, err := verify(t, v, token); err != nil {
		t.Errorf("Verify = %v after the outage", err)
	}
}

// TestUnknownKeysAreBounded (checklist 28): tokens with invented key ids do not
// make us hammer the issuer.
func TestUnknownKeysAreBounded(t *testing.T) {
	server := startIssuer(t)
	v, clock := verifierOf(t, configOf(server))
	good := tokenOf(t, server, alice())
	if _, err := verify(t, v, good); err != nil {
		t.Fatal(err)
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		token, err := oidctest.Sign(jose.SigningKey{Algorithm: jose.ES256, Key: foreign}, payloadOf(t, server), map[string]any{"kid": fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, v, token); !errors.Is(err, identity.ErrRejected) {
			t.Fatalf("Verify = %v, want a rejection", err)
		}
	}
	if n := server.Requests(oidctest.KeysPath); n > 1+unknownBurst+1 {
		t.Errorf("%d requests for keys after 50 invented key ids, want at most %d", n, 1+unknownBurst+1)
	}
	if _, err := verify(t, v, good); err != nil {
		t.Errorf("Verify = %v: a flood must not keep others out", err)
	}
	if err := server.Rotate(newKey(t), true); err != nil {
		t.Fatal(err)
	}
	clock.advance(unknownEvery)
	if _, err := verify(t, v, tokenOf(t, server, alice())); err != nil {
		t.Errorf("Verify = %v: a real rotation is learned after the flood", err)
	}
}

// TestOneFetchForMany: callers that come at once share a fetch.
func TestOneFetchForMany(t *testing.T) {
	server := startIssuer(t)
	v, _ := verifierOf(t, configOf(server))
	token := tokenOf(t, server, alice())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := v.Verify(t.Context(), identity.BearerToken(token)); err != nil {
				t.Errorf("Verify = %v", err)
			}
		})
	}
	group.Wait()
	if n := server.Requests(oidctest.KeysPath); n != 1 {
		t.Errorf("%d requests for keys, want 1", n)
	}
}

func TestClosed(t *testing.T) {
	server := startIssuer(t)
	v, err := New(t.Context(), configOf(server))
	if err != nil {
		t.Fatal(err)
	}
	v.Close()
	if _, err := verify(t, v, tokenOf(t, server, alice())); !errors.Is(err, errUnavailable) {
		t.Errorf("Verify = %v, want unavailable keys", err)
	}
}

// TestDiscoveryRefused: what an issuer may say of itself is bounded too.
func TestDiscoveryRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		spoil  func(*oidctest.Server)
		text   string
	}{
		"OtherIssuer": {reason: "the document must be of this issuer", spoil: func(s *oidctest.Server) { s.SetDiscovery("issuer", "https://evil.example.com") }, text: "did not match"},
		"PlainKeys":   {reason: "keys read in the clear prove nothing", spoil: func(s *oidctest.Server) { s.SetDiscovery("jwks_uri", "http://127.0.0.1/keys") }, text: "jwks_uri"},
		"NoKeys":      {reason: "an issuer without keys proves nobody", spoil: func(s *oidctest.Server) { s.SetDiscovery("jwks_uri", "") }, text: "jwks_uri"},
		"Missing":     {reason: "a document that is not there is an error", spoil: func(s *oidctest.Server) { s.SetDiscovery("jwks_uri", s.URL()+"/nothing") }, text: "404"},
		"Huge":        {reason: "documents are bounded", spoil: func(s *oidctest.Server) { s.SetDiscovery("x", strings.Repeat("x", maxResponseBytes)) }, text: "too large"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := startIssuer(t)
			tc.spoil(server)
			v, _ := verifierOf(t, configOf(server))
			_, err := verify(t, v, tokenOf(t, server, alice()))
			if !errors.Is(err, errUnavailable) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %v, want an error that names %q", tc.reason, err, tc.text)
			}
		})
	}
}

// TestUntrustedServer: the issuer's server must be proven by the given CA.
func TestUntrustedServer(t *testing.T) {
	server, other := startIssuer(t), startIssuer(t)
	config := configOf(server)
	config.CertificateAuthorityPEM = other.CertificateAuthorityPEM
	v, _ := verifierOf(t, config)
	if _, err := verify(t, v, tokenOf(t, server, alice())); !errors.Is(err, errUnavailable) {
		t.Errorf("Verify = %v, want a server of another CA refused", err)
	}
}

// TestRedirects (checklist 25): documents are read from the host that was
// configured.
func TestRedirects(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect to another host was followed")
	}))
	defer elsewhere.Close()
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			w.WriteHeader(http.StatusOK)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/clear":
			http.Redirect(w, r, "http://"+r.Host+"/there", http.StatusFound)
		default:
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}
	}))
	defer front.Close()
	client, err := newClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	client.Transport = bounded{front.Client().Transport}
	defer front.Client().CloseIdleConnections()
	for path, allowed := range map[string]bool{"/here": true, "/away": false, "/clear": false, "/loop": false} {
		response, err := client.Get(front.URL + path)
		if err == nil {
			response.Body.Close()
		}
		if allowed != (err == nil) {
			t.Errorf("%s: got %v, want allowed %t", path, err, allowed)
		}
	}
}

// TestForbiddenIssuer (checklist 25): neither an issuer's document nor its keys are asked for
// at a machine's surroundings, wherever a name leads by then.
func TestForbiddenIssuer(t *testing.T) {
	client, err := newClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []place{{issuer: "https://169.254.169.254"}, {issuer: "https://issuer.example", discovery: "https://[fd00:ec2::254]/document"}} {
		if _, _, err := download(t.Context(), client, at, ""); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%v: %v", at, err)
		}
	}
	if _, _, err := download(t.Context(), client, place{}, "https://[::ffff:169.254.169.254]/keys"); !errors.Is(err, egress.ErrForbidden) {
		t.Errorf("keys: %v", err)
	}
}
