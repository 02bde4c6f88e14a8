// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oidctest is an OpenID Connect issuer for tests and development:
// discovery, a key set, tokens with any claims, and the flows by which people log
// in. It can rotate its keys and play dead. It signs whatever it is asked to, so
// it belongs in no product.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The paths an issuer serves, below its URL.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
)

// tokenLifetime is that of a token without an exp claim of its own.
const tokenLifetime = time.Hour

// Issuer issues tokens and serves what is needed to check them. It is safe for
// concurrent use.
type Issuer struct {
	url  string
	path string

	mu        sync.Mutex // guards all below
	keys      []jose.JSONWebKey
	signing   jose.JSONWebKey
	discovery map[string]any
	dead      bool
	requests  map[string]int
	logins    logins
}

// NewKey makes a signing key for ES256.
func NewKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// New makes an issuer that is reached at url and signs with key, an ECDSA key
// on P-256 (ES256) or an RSA key (RS256).
func New(issuerURL string, key crypto.Signer) (*Issuer, error) {
	parsed, err := url.Parse(issuerURL)
	if err != nil {
		return nil, fmt.Errorf("invalid issuer URL: %w", err)
	}
	i := &Issuer{
		url: issuerURL, path: parsed.Path, requests: map[string]int{},
		discovery: map[string]any{
			"issuer":                                issuerURL,
			"jwks_uri":                              issuerURL + KeysPath,
			"authorization_endpoint":                issuerURL + "/authorize",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"ES256", "RS256"},
		},
	}
	if err := i.Rotate(key, false); err != nil {
		return nil, err
	}
	return i, nil
}

// URL is the issuer's URL, the iss claim of its tokens.
func (i *Issuer) URL() string { return i.url }

// Rotate signs with another key from now on. With keepOld, the former keys stay
// published, as an issuer does until their tokens have expired.
func (i *Issuer) Rotate(key crypto.Signer, keepOld bool) error {
	next := jose.JSONWebKey{Key: key, Use: "sig"}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		next.Algorithm = string(jose.RS256)
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return errors.New("cannot sign: want an ECDSA key on P-256")
		}
		next.Algorithm = string(jose.ES256)
	default:
		return fmt.Errorf("cannot sign: want an ECDSA or RSA key, got %T", public)
	}
	thumbprint, err := next.Thumbprint(crypto.SHA256)
	if err != nil {
		return fmt.Errorf("cannot name signing key: %w", err)
	}
	next.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)

	i.mu.Lock()
	defer i.mu.Unlock()
	if !keepOld {
		i.keys = nil
	}
	i.signing, i.keys = next, append(i.keys, next.Public())
	return nil
}

// Publish adds a key to the key set without signing with it.
func (i *Issuer) Publish(key jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

// SigningKey is the key in use, with its private part.
func (i *Issuer) SigningKey() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signing
}

// SetDiscovery changes one value of the discovery document.
func (i *Issuer) SetDiscovery(name string, value any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.discovery[name] = value
}

// SetOutage makes every request fail with status 503, or ends that.
func (i *Issuer) SetOutage(dead bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.dead = dead
}

// Requests says how often a path was asked for.
func (i *Issuer) Requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[path]
}

// ServeHTTP serves the discovery document and the key set, and the endpoints to log in by
// where a client is allowed.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests[r.URL.Path]++
	var document any
	switch r.URL.Path {
	case i.path + DiscoveryPath:
		document = i.discovery
	case i.path + KeysPath:
		document = jose.JSONWebKeySet{Keys: i.keys}
	}
	body, err := json.Marshal(document)
	dead := i.dead
	i.mu.Unlock()
	if i.serveLogin(w, r) {
		return
	}

	switch {
	case dead:
		http.Error(w, "the issuer is away", http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, "cannot encode document", http.StatusInternalServerError)
	case document == nil:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Content-Type", "application/json")
		// The client that went away learns nothing of the failure.
		_, _ = w.Write(body)
	}
}

// Token signs claims. iss, iat and exp (in one hour) are added where they are
// absent; a claim whose value is nil is left out.
func (i *Issuer) Token(claims map[string]any) (string, error) {
	return i.TokenWithHeader(claims, map[string]any{"typ": "JWT"})
}

// TokenWithHeader is Token with header parameters of the caller's choice
// beside alg and kid.
func (i *Issuer) TokenWithHeader(claims, header map[string]any) (string, error) {
	now := time.Now()
	all := map[string]any{"iss": i.url, "iat": now.Unix(), "exp": now.Add(tokenLifetime).Unix()}
	for name, value := range claims {
		if value == nil {
			delete(all, name)
			continue
		}
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("cannot encode claims: %w", err)
	}
	key := i.SigningKey()
	return Sign(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, payload, header)
}

// Sign makes a compact JWS (RFC 7515 section 7.1) of any payload, for tokens
// that no issuer should make.
func Sign(key jose.SigningKey, payload []byte, header map[string]any) (string, error) {
	options := &jose.SignerOptions{}
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", fmt.Errorf("cannot sign token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("cannot sign token: %w", err)
	}
	return signed.CompactSerialize()
}
