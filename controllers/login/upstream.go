// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

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
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/egress"
)

// Bounds of a request to an issuer.
const (
	upstreamTimeout = 10 * time.Second
	maxDocument     = 1 << 20
	// documentFresh is how long a discovery document is gone by, documentRetry how soon an
	// issuer is asked again that gave none.
	documentFresh = 5 * time.Minute
	documentRetry = 5 * time.Second
	maxDocuments  = 64
)

// upstreams are the OpenID Connect issuers that the portal is a client of.
type upstreams struct {
	callback  func(provider string) string
	secrets   client.Reader
	namespace string

	mu    sync.Mutex // guards known
	known map[string]*discovery
}

func newUpstreams(callback func(string) string, secrets client.Reader, namespace string) *upstreams {
	return &upstreams{callback: callback, secrets: secrets, namespace: namespace, known: map[string]*discovery{}}
}

// upstream is one issuer, as its discovery document says.
type upstream struct {
	client *http.Client

	Issuer      string   `json:"issuer"`
	Authorize   string   `json:"authorization_endpoint"`
	Token       string   `json:"token_endpoint"`
	Challenges  []string `json:"code_challenge_methods_supported"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	IssInAnswer bool     `json:"authorization_response_iss_parameter_supported"`
}

// discovery is what came of asking an issuer. Whoever opens /authorize makes us ask, and is
// nobody yet: an issuer is asked by one at a time, and left alone after it has failed.
type discovery struct {
	mu      sync.Mutex // guards the rest, and is held while the issuer is asked
	askedAt time.Time
	found   *upstream
	err     error
}

func (d *discovery) get(ctx context.Context, issuer *v1alpha1.OIDCIssuer) (*upstream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fresh := documentFresh
	if d.err != nil {
		fresh = documentRetry
	}
	if d.askedAt.IsZero() || time.Since(d.askedAt) >= fresh {
		// Others wait for the answer, too.
		d.found, d.err = discover(context.WithoutCancel(ctx), issuer)
		d.askedAt = time.Now()
	}
	return d.found, d.err
}

// of is the issuer of a provider.
func (u *upstreams) of(ctx context.Context, object *v1alpha1.IdentityProvider) (*upstream, error) {
	found, err := u.discovery(fmt.Sprintf("%s/%d", object.UID, object.Generation)).get(ctx, &object.Spec.OIDC.Issuer)
	if err != nil {
		return nil, &fault{code: codeUnavailable, text: fmt.Sprintf("the issuer of IdentityProvider %q cannot be asked now: try again later", object.Name), cause: err}
	}
	return found, nil
}

func (u *upstreams) discovery(key string) *discovery {
	u.mu.Lock()
	defer u.mu.Unlock()
	found := u.known[key]
	if found == nil {
		if len(u.known) >= maxDocuments {
			clear(u.known)
		}
		found = &discovery{}
		u.known[key] = found
	}
	return found
}

// discover reads a discovery document (OpenID Connect Discovery 1.0, section 4).
func discover(ctx context.Context, issuer *v1alpha1.OIDCIssuer) (*upstream, error) {
	asking, err := newUpstreamClient(issuer.CertificateAuthority)
	if err != nil {
		return nil, err
	}
	address := cmp.Or(issuer.DiscoveryURL, strings.TrimSuffix(issuer.URL, "/")+"/.well-known/openid-configuration")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := asking.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // nothing was written
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot read discovery document: %s answers %s", address, response.Status)
	}
	body, err := io.ReadAll(response.Body) // bounded
	if err != nil {
		return nil, fmt.Errorf("cannot read discovery document: %w", err)
	}
	found := &upstream{client: asking}
	if err := json.Unmarshal(body, found); err != nil {
		return nil, fmt.Errorf("cannot read discovery document: %s answers with something else than JSON", address)
	}
	if found.Issuer != issuer.URL {
		return nil, fmt.Errorf("discovery document is of another issuer: %q", shortened(found.Issuer))
	}
	for what, endpoint := range map[string]string{"authorization_endpoint": found.Authorize, "token_endpoint": found.Token} {
		if parsed, err := url.Parse(endpoint); err != nil || parsed.Scheme != "https" || parsed.Host == "" {
			return nil, fmt.Errorf("discovery document names no usable %s: want https: %q", what, shortened(endpoint))
		}
	}
	// An issuer may say nothing of it and still have it.
	if len(found.Challenges) > 0 && !slices.Contains(found.Challenges, "S256") {
		return nil, errors.New("the issuer has no PKCE with S256 (RFC 7636)")
	}
	return found, nil
}

// newUpstreamClient follows nobody anywhere: codes and secrets are for whom they were meant.
// A forward proxy is taken from the environment, as for discovery: it sees no more than TLS
// does of it, and is itself dialled under the same check.
func newUpstreamClient(authority string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(authority)) {
			return nil, errors.New("invalid certificateAuthority: want at least one PEM certificate")
		}
	}
	return &http.Client{
		Timeout: upstreamTimeout,
		Transport: bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: upstreamTimeout, Control: egress.Control}).DialContext, TLSClientConfig: config, TLSHandshakeTimeout: upstreamTimeout,
			ResponseHeaderTimeout: upstreamTimeout, MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the issuer answers with a redirect, which is not followed")
		},
	}, nil
}

// bounded cuts answers off at their bound: JSON that was cut is none.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxDocument), response.Body}
	return response, nil
}

// config is that of the portal as a client of the issuer. The secret is read when it is
// used.
func (u *upstreams) config(ctx context.Context, object *v1alpha1.IdentityProvider, at *upstream, secret bool) (*oauth2.Config, error) {
	login := object.Spec.Login
	config := &oauth2.Config{
		ClientID: login.ClientID, RedirectURL: u.callback(object.Name), Scopes: slices.Concat([]string{"openid"}, login.Scopes),
		Endpoint: oauth2.Endpoint{AuthURL: at.Authorize, TokenURL: at.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	if !secret || login.ClientSecretRef.Name == "" {
		return config, nil
	}
	var held corev1.Secret
	if err := u.secrets.Get(ctx, client.ObjectKey{Namespace: u.namespace, Name: login.ClientSecretRef.Name}, &held); err != nil {
		return nil, unavailable(fmt.Errorf("cannot read the client secret of IdentityProvider %q: %w", object.Name, err))
	}
	if held.Type != v1alpha1.SecretTypeLogin {
		return nil, unavailable(fmt.Errorf("cannot read the client secret of IdentityProvider %q: Secret %q has type %q, want %q", object.Name, held.Name, held.Type, v1alpha1.SecretTypeLogin))
	}
	// Whoever writes IdentityProviders says where a token endpoint is. Whoever wrote the
	// Secret says whose it is.
	if meant, issuer := string(held.Data[v1alpha1.LoginKeyIssuer]), object.Spec.OIDC.Issuer.URL; meant != issuer {
		return nil, unavailable(fmt.Errorf("the client secret of IdentityProvider %q is not sent: key %q of Secret %q says %q, want spec.oidc.issuer.url, %q, to the letter: correct the one that is wrong",
			object.Name, v1alpha1.LoginKeyIssuer, held.Name, meant, issuer))
	}
	config.ClientSecret = strings.TrimSpace(string(held.Data[v1alpha1.LoginKeyClientSecret]))
	if config.ClientSecret == "" {
		return nil, unavailable(fmt.Errorf("cannot read the client secret of IdentityProvider %q: Secret %q has no key %q", object.Name, held.Name, v1alpha1.LoginKeyClientSecret))
	}
	if len(at.AuthMethods) == 0 || slices.Contains(at.AuthMethods, "client_secret_basic") {
		config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	}
	return config, nil
}
