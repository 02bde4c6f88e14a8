// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/pace"
)

// Settings are what an administrator says of the portal.
type Settings struct {
	// Address is the host:port that it listens on; empty for no portal.
	Address string
	// URL is where callers reach it: https://host or https://host:port.
	URL string
	// CertificateFile and KeyFile are its serving certificate, in PEM, read again when
	// they change. The manager's own authority signs one where both are empty.
	CertificateFile, KeyFile string
	// CAFile are the authorities by which proxies verify CertificateFile, in PEM, read again
	// when they change; those of the proxies' system where it is empty.
	CAFile string
	// TrustedProxies are the addresses from which X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
}

// CertificateAuthority is the manager's own.
type CertificateAuthority interface {
	State(ctx context.Context) (ca.State, error)
	Constraints() ca.Constraints
}

// Options of a Portal. Fields that are not said to be optional are needed.
type Options struct {
	Settings
	// Cached reads IdentityProviders from caches. Live reads and writes the API server.
	Cached client.Reader
	Live   client.Client
	// Namespace is the manager's own, of the Secrets that IdentityProviders name.
	Namespace string
	// Keys are the portal's.
	Keys *KeyStore
	// User is the manager's own Kubernetes user name, who revokes what was refused.
	User string
	// Authority signs the serving certificate where no files are given.
	Authority CertificateAuthority
	// Pool holds what is known of issuers.
	Pool *oidc.Pool
	// Log is where issues and refusals are logged.
	Log logr.Logger
	// Metrics is where figures are registered; nowhere where nil.
	Metrics prometheus.Registerer
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Portal is the login portal of one manager.
type Portal struct {
	options   Options
	url       *url.URL
	live      client.Client
	keys      *KeyStore
	providers *providers
	upstreams *upstreams
	counted   *Figures
	log       logr.Logger
	now       func() time.Time
	hosts     *pace.Paces[netip.Addr]
	codes     *pace.Paces[netip.Addr]
	handler   http.Handler
	serving   *serving
}

// The paces of one host, before it has proven anything.
const (
	requestsPerSecond = 10
	requestBurst      = 60
	// User codes can be guessed: see usercode.go.
	codesPerSecond = 0.1
	codeBurst      = 10
	maxHosts       = 16384
)

// New makes a Portal, which reaches for nothing before Start.
func New(o Options) (*Portal, error) {
	parsed, err := CheckSettings(o.Settings)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Portal{
		options: o, url: parsed, live: o.Live, keys: o.Keys, log: o.Log, now: o.Now,
		providers: newProviders(o.Cached, o.Pool),
		hosts:     pace.New[netip.Addr](requestsPerSecond, requestBurst, maxHosts),
		codes:     pace.New[netip.Addr](codesPerSecond, codeBurst, maxHosts),
	}
	p.upstreams = newUpstreams(p.callbackURL, o.Live, o.Namespace)
	if p.counted, err = NewFigures(o.Metrics); err != nil {
		return nil, err
	}
	if p.serving, err = newServing(o.Settings, parsed, o.Authority, o.Now, o.Log); err != nil {
		return nil, err
	}
	p.handler = p.routes()
	return p, nil
}

// CheckSettings says what is wrong with settings.
func CheckSettings(s Settings) (*url.URL, error) {
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		return nil, fmt.Errorf("invalid --login-address: want host:port or :port: %q", s.Address)
	}
	parsed, err := url.Parse(s.URL)
	if err != nil || parsed.Scheme != "https" || parsed.Hostname() == "" || parsed.User != nil || strings.Trim(parsed.Path, "/") != "" ||
		parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" || parsed.Opaque != "" {
		return nil, fmt.Errorf("invalid --login-url: want the https URL that callers reach the portal by, without a path, such as https://login.example.org: %q", s.URL)
	}
	// Browsers and others leave the default port out of Host (RFC 9110, section 4.2.3).
	parsed.Path, parsed.Host = "", strings.TrimSuffix(strings.ToLower(parsed.Host), ":443")
	if (s.CertificateFile == "") != (s.KeyFile == "") {
		return nil, errors.New("--login-certificate and --login-key belong together: give both, or neither for a certificate of the manager's own authority")
	}
	if s.CAFile != "" && s.CertificateFile == "" {
		return nil, errors.New("--login-ca is of no use without --login-certificate: proxies trust the manager's own authority by itself")
	}
	return parsed, nil
}

// origin is the portal's, and its issuer identifier (RFC 8414, section 2).
func (p *Portal) origin() string { return p.url.String() }

func (p *Portal) callbackURL(provider string) string {
	return p.origin() + "/oidc/" + provider + "/callback"
}

// routes are what the portal serves.
func (p *Portal) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", p.page("home", p.home))
	mux.Handle("GET /authorize", p.page("authorize", p.authorize))
	mux.Handle("GET /oidc/{provider}/callback", p.page("callback", p.callback))
	mux.Handle("POST /confirm", p.page("confirm", p.confirm))
	mux.Handle("GET /device", p.page("device", p.devicePage))
	mux.Handle("POST /device", p.page("device", p.enterCode))
	mux.Handle("GET /saml/{provider}/metadata", p.page("saml-metadata", p.samlMetadata))
	mux.Handle("POST /saml/{provider}/acs", p.page("saml-acs", p.consumeAssertion))
	mux.Handle("POST /token", p.endpoint("token", p.token))
	mux.Handle("POST /revoke", p.endpoint("revoke", p.giveBack))
	mux.Handle("POST /device_authorization", p.endpoint("device-authorization", p.authorizeDevice))
	mux.Handle("GET /.well-known/oauth-authorization-server", p.endpoint("metadata", p.metadata))
	mux.Handle("GET /.well-known/openid-configuration", p.endpoint("metadata", p.metadata))
	return p.guard(mux)
}

// endpoint answers programs.
func (p *Portal) endpoint(name string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			writeFault(w, p.note(name, r, err))
		}
	})
}

// note logs and counts a refusal. What a device asks for before its person has decided is
// none.
func (p *Portal) note(endpoint string, r *http.Request, err error) *fault {
	f := faultOf(err)
	if f.code == codePending {
		return f
	}
	p.counted.Refused(endpoint, f.code)
	values := append([]any{"endpoint", endpoint, "error", f.code, "description", describe(f.text), "client", p.addressOf(r).String()}, f.of...)
	if f.cause != nil {
		p.log.Error(f.cause, "Login portal cannot answer", values...)
	} else {
		p.log.Info("Login refused", values...)
	}
	return f
}
