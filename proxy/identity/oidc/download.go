// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
)

const (
	// maxKeys bounds the keys of one issuer, since a token without a key id is
	// tried with each.
	maxKeys = 64
	// minRSABits is the least that RFC 7518 section 3.3 allows.
	minRSABits = 2048
)

// place says where an issuer's keys are found. Empty discovery means the address
// below issuer.
type place struct{ issuer, discovery string }

// download reads an issuer's keys from address, which it discovers where it is
// empty, and returns them with the address used.
func download(ctx context.Context, client *http.Client, at place, address string) ([]jose.JSONWebKey, string, error) {
	if address == "" {
		discovered, err := at.discover(ctx, client)
		if err != nil {
			return nil, "", err
		}
		address = discovered
	}
	body, err := read(ctx, client, address)
	if err != nil {
		return nil, "", fmt.Errorf("cannot read keys: %w", err)
	}
	found, err := parseKeys(body)
	if err != nil {
		return nil, "", fmt.Errorf("cannot read keys: %w", err)
	}
	return found, address, nil
}

// discover reads the discovery document (OpenID Connect Discovery 1.0 section 4) and
// returns the address of the keys. The document must be the issuer's, wherever it is.
func (p place) discover(ctx context.Context, client *http.Client) (string, error) {
	address := p.discovery
	if address == "" {
		address = strings.TrimSuffix(p.issuer, "/") + "/.well-known/openid-configuration"
	}
	body, err := read(ctx, client, address)
	if err != nil {
		return "", fmt.Errorf("cannot read discovery document: %w", err)
	}
	var document struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return "", errors.New("cannot read discovery document: not JSON")
	}
	if document.Issuer != p.issuer {
		return "", fmt.Errorf("discovery document is of another issuer, which did not match: %q", identity.Shorten(document.Issuer))
	}
	if err := checkURL(document.Keys); err != nil {
		return "", fmt.Errorf("discovery document names an unusable jwks_uri: %w", err)
	}
	return document.Keys, nil
}

func read(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// parseKeys reads a JWK Set (RFC 7517 section 5). Keys it cannot use are left
// out, as the RFC asks; a set without a usable key is an error, so that a
// broken document does not take the keys in force away.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("not a JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("too many keys: %d, at most %d are allowed", len(set.Keys), maxKeys)
	}
	var found []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err == nil && usable(key) {
			found = append(found, key)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no usable key among %d", len(set.Keys))
	}
	return found, nil
}

// usable says whether a key is a public one for signatures. Symmetric keys are
// not: a set that publishes one lets everybody sign.
func usable(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	default:
		return false
	}
}
