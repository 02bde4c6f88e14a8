// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/proc"
)

// The audiences of tokens: one for the gateway, one for the API server, so that
// neither accepts the other's.
const (
	GatewayAudience    = "doorward"
	KubernetesAudience = "kubernetes"
)

const tokenLifetime = time.Hour

// Issuer is the people's identity provider.
type Issuer struct {
	URL   string
	CAPEM []byte

	issuer *issuer.Issuer
	cancel context.CancelFunc
	served chan error
}

// issuerSettings is what another process needs to make tokens.
type issuerSettings struct {
	Address string `json:"address"`
	// CertificateAuthority signs the issuer's serving certificate, in PEM.
	CertificateAuthority string `json:"certificateAuthority"`
}

func startIssuer(dir string) (*Issuer, error) {
	address, err := proc.FreeAddress(context.Background())
	if err != nil {
		return nil, err
	}
	certificate, key, err := oidctest.NewAuthorityPEM("doorward development issuer")
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(issuerSettings{Address: address, CertificateAuthority: string(certificate)})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the issuer's settings: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "settings.json"), settings, 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the issuer's settings: %w", err)
	}
	opened, err := issuer.Open(issuer.Config{
		Address: address, AuthorityCertificatePEM: certificate, AuthorityKeyPEM: key,
		KeyFile: filepath.Join(dir, "key.pem"), Audience: GatewayAudience, Lifetime: tokenLifetime,
	})
	if err != nil {
		return nil, err
	}
	listener, err := opened.Listen(context.Background())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	i := &Issuer{URL: opened.URL(), CAPEM: certificate, issuer: opened, cancel: cancel, served: make(chan error, 1)}
	go func() { i.served <- opened.Serve(ctx, listener) }()
	return i, nil
}

// OpenIssuer opens the issuer of a stack that another process runs, to make tokens.
func OpenIssuer(stackDir string) (*Issuer, error) {
	dir := filepath.Join(stackDir, "issuer")
	content, err := os.ReadFile(filepath.Join(dir, "settings.json"))
	if err != nil {
		return nil, fmt.Errorf("no playground runs here: start it with `make playground`: %w", err)
	}
	var settings issuerSettings
	if err := json.Unmarshal(content, &settings); err != nil {
		return nil, fmt.Errorf("cannot read the issuer's settings: %w", err)
	}
	opened, err := issuer.Open(issuer.Config{
		Address: settings.Address, KeyFile: filepath.Join(dir, "key.pem"), Audience: GatewayAudience, Lifetime: tokenLifetime,
	})
	if err != nil {
		return nil, err
	}
	return &Issuer{URL: opened.URL(), CAPEM: []byte(settings.CertificateAuthority), issuer: opened}, nil
}

// Token makes a token for a person with groups.
func (i *Issuer) Token(audience, user string, groups ...string) (string, error) {
	return i.TokenFor(issuer.Request{User: user, Groups: groups, Audience: audience})
}

// TokenFor makes any token the issuer can make.
func (i *Issuer) TokenFor(request issuer.Request) (string, error) { return i.issuer.Token(request) }

// AllowLogin lets a client log people in by a browser: see its namesake in package issuer.
func (i *Issuer) AllowLogin(id, secret, redirect string) { i.issuer.AllowLogin(id, secret, redirect) }

// Stop ends the issuer.
func (i *Issuer) Stop() error {
	if i.cancel == nil {
		return nil
	}
	i.cancel()
	if err := <-i.served; err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the issuer did not end well: %w", err)
	}
	return nil
}

// authenticationConfig makes the API server trust the issuer, with the same
// names as the gateway.
func (i *Issuer) authenticationConfig() string {
	return fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: %s
    audiences: [%s]
    certificateAuthority: |
%s
  claimMappings:
    username:
      claim: preferred_username
      prefix: ""
    groups:
      claim: groups
      prefix: ""
`, i.URL, KubernetesAudience, indented(i.CAPEM, 6))
}

// identityProvider makes the gateway trust the issuer.
func (i *Issuer) identityProvider() string {
	return fmt.Sprintf(`apiVersion: doorward.dev/v1alpha1
kind: IdentityProvider
metadata:
  name: company
spec:
  type: OIDC
  oidc:
    issuer:
      url: %s
      audiences: [%s]
      certificateAuthority: |
%s
    claimMappings:
      username:
        claim: preferred_username
        prefix: ""
      groups:
        claim: groups
        prefix: ""
    claimValidationRules: []
    userValidationRules: []
  kubernetesUsername:
    prefix: ""
`, i.URL, GatewayAudience, indented(i.CAPEM, 8))
}

func indented(text []byte, by int) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for n, line := range lines {
		lines[n] = strings.Repeat(" ", by) + line
	}
	return strings.Join(lines, "\n")
}
