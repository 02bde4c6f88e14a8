// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recorded has what the discovery documents of well-known identity providers say,
// and answers in their place. README.md says where that was taken from.
package recorded

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

//go:embed *.json
var documents embed.FS

// Provider is one of them.
type Provider struct {
	Issuer string   `json:"issuer"`
	Auth   string   `json:"authorization_endpoint"`
	Token  string   `json:"token_endpoint"`
	Device string   `json:"device_authorization_endpoint"`
	Revoke string   `json:"revocation_endpoint"`
	Keys   string   `json:"jwks_uri"`
	Algs   []string `json:"id_token_signing_alg_values_supported"`
	// Document is the whole.
	Document []byte `json:"-"`
}

// Load reads the document of a provider by its file's name without ".json".
func Load(name string) (*Provider, error) {
	body, err := documents.ReadFile(name + ".json")
	if err != nil {
		return nil, fmt.Errorf("no provider is recorded under that name: %w", err)
	}
	p := &Provider{Document: body}
	if err := json.Unmarshal(body, p); err != nil {
		return nil, fmt.Errorf("document %q: %w", name, err)
	}
	return p, nil
}

// Transport answers for a provider that is asked for at an issuer URL: with its document and
// with these keys, a JWK set. Nothing leaves the machine.
func (p *Provider) Transport(issuer string, keys []byte) http.RoundTripper {
	return answers{
		strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration": p.Document,
		p.Keys: keys,
	}
}

// answers are bodies by URL.
type answers map[string][]byte

// RoundTrip implements http.RoundTripper.
func (a answers) RoundTrip(request *http.Request) (*http.Response, error) {
	body, known := a[request.URL.String()]
	status := http.StatusOK
	if !known || request.Method != http.MethodGet {
		status = http.StatusNotFound
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: request,
	}, nil
}
