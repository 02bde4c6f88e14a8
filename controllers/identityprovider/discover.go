// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identityprovider

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/egress"
)

// ErrIssuerMismatch is wrapped where the discovery document names another issuer.
var ErrIssuerMismatch = errors.New("issuer mismatch")

// Bounds of what an issuer may send, and of how long it may take.
const (
	maxDocument = 1 << 20
	timeout     = 10 * time.Second
)

// Discover reads an issuer's discovery document (OpenID Connect Discovery 1.0
// section 4) and its keys (RFC 7517), over https, verified with the issuer's
// authority where one is given. Redirects are not followed, and nothing is dialled that
// package egress forbids.
func Discover(ctx context.Context, issuer v1alpha1.OIDCIssuer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     (&net.Dialer{Timeout: timeout, Control: egress.Control}).DialContext,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	defer transport.CloseIdleConnections()
	if issuer.CertificateAuthority != "" {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(issuer.CertificateAuthority))
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the issuer answers with a redirect, which is not followed: write the final address into issuer.url or issuer.discoveryURL")
	}}
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	address := cmp.Or(issuer.DiscoveryURL, strings.TrimSuffix(issuer.URL, "/")+"/.well-known/openid-configuration")
	if err := read(ctx, client, address, &document); err != nil {
		return fmt.Errorf("cannot read discovery document: %w", err)
	}
	if document.Issuer != issuer.URL {
		return fmt.Errorf("%w: the discovery document says %q, issuer.url says %q: they must be equal to the letter", ErrIssuerMismatch, document.Issuer, issuer.URL)
	}
	var keys struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := read(ctx, client, document.JWKSURI, &keys); err != nil {
		return fmt.Errorf("cannot read keys: %w", err)
	}
	if len(keys.Keys) == 0 {
		return errors.New("cannot read keys: the issuer publishes none")
	}
	return nil
}

func read(ctx context.Context, client *http.Client, address string, into any) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return fmt.Errorf("not an https address: %q", address)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // nothing was written
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s answers %s: an issuer's documents are read without a credential; for a cluster, bind ClusterRole "+
			"system:service-account-issuer-discovery to group system:unauthenticated, or set spec.kubernetes.verification to TokenReview", address, response.Status)
	default:
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return err
	}
	if len(body) > maxDocument {
		return fmt.Errorf("%s answers with more than %d bytes", address, maxDocument)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s answers with something else than JSON", address)
	}
	return nil
}
