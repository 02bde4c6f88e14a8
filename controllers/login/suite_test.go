// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/config/admission"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/testcert"
	"github.com/doorward/doorward/test/testenv"
)

const (
	operator = "doorward-system"
	// patience bounds every wait: it only says when to give up.
	patience = 2 * time.Minute
	// portalClient is the portal's client ID at the issuer, audience that of proxies.
	portalClient, audience = "doorward-portal", "doorward"
	clientSecret           = "canary-client-secret"
	lifetime               = time.Hour
)

var (
	env *testenv.Env
	// manager has the manager's name and every right: what is refused, admission refuses.
	manager client.Client
	// managerConfig is how the manager reaches the API server.
	managerConfig *rest.Config
	// people is the issuer of persons, robots that of agents.
	people, robots *oidctest.Server
	portalCA       *testcert.CA
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	log.SetLogger(logr.Discard())
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	env, err = testenv.Start(ctx, testenv.Options{CRDs: true, Admission: true})
	must(err)
	defer func() { _ = env.Stop() }()
	config, err := env.AddUser(admission.DefaultManagerUser, "system:masters")
	must(err)
	managerConfig = config
	scheme, err := setup.Scheme()
	must(err)
	manager, err = client.New(config, client.Options{Scheme: scheme})
	must(err)
	must(manager.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator}}))
	people, err = oidctest.Start()
	must(err)
	defer func() { _ = people.Close() }()
	robots, err = oidctest.Start()
	must(err)
	defer func() { _ = robots.Close() }()
	portalCA, err = testcert.NewCA("portal")
	must(err)
	must(manager.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "company-login", Namespace: operator}, Type: v1alpha1.SecretTypeLogin,
		StringData: map[string]string{v1alpha1.LoginKeyClientSecret: clientSecret + "\n", v1alpha1.LoginKeyIssuer: people.URL()},
	}))
	company := provider("company", people)
	company.Spec.Login = &v1alpha1.LoginSettings{
		LifetimeSeconds: int32(lifetime / time.Second), ClientID: portalClient, ClientSecretRef: v1alpha1.LoginSecretReference{Name: "company-login"}, Scopes: []string{"groups"},
	}
	company.Spec.KubernetesUsername = &v1alpha1.KubernetesUsernameMapping{Prefix: "company:"}
	agents := provider("agents", robots)
	agents.Spec.Login = &v1alpha1.LoginSettings{LifetimeSeconds: int32(lifetime / time.Second)}
	closed := provider("closed", people)
	closed.Spec.OIDC.Issuer.Audiences = []string{"closed"}
	for _, object := range []client.Object{company, agents, closed} {
		must(manager.Create(ctx, object))
	}
	must(login.NewKeyStore(manager, operator).Advance(ctx))
	return m.Run()
}

func provider(name string, issuer *oidctest.Server) *v1alpha1.IdentityProvider {
	return &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.IdentityProviderSpec{
			Type: v1alpha1.IdentityProviderOIDC,
			OIDC: &v1alpha1.OIDCProvider{
				Issuer: v1alpha1.OIDCIssuer{URL: issuer.URL(), Audiences: []string{audience, portalClient}, CertificateAuthority: string(issuer.CertificateAuthorityPEM)},
				ClaimMappings: v1alpha1.ClaimMappings{
					Username: v1alpha1.PrefixedClaimMapping{Claim: "preferred_username", Prefix: new("")},
					Kind:     &v1alpha1.ClaimMapping{Claim: "kind"},
				},
				ClaimValidationRules: []v1alpha1.ClaimValidationRule{}, UserValidationRules: []v1alpha1.UserValidationRule{},
			},
		},
	}
}

// replica is a portal that serves.
type replica struct {
	*testing.T
	url string
	// dial is where this replica listens, whatever the URL is.
	dial string
	logs *logs
}

// logs keeps what is logged, to search it.
type logs struct{ lines chan string }

func (l *logs) all() string {
	var text strings.Builder
	for {
		select {
		case line := <-l.lines:
			text.WriteString(line + "\n")
		default:
			return text.String()
		}
	}
}

// serve starts a portal. One that is given is another replica: both have its URL.
func serve(t *testing.T, of *replica, change ...func(*login.Options)) *replica {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{T: t, url: "https://" + listener.Addr().String(), dial: listener.Addr().String(), logs: &logs{make(chan string, 10000)}}
	if of != nil {
		r.url = of.url
	}
	pair, err := portalCA.Issue(testcert.Request{CommonName: "portal", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := pair.Write(t.TempDir(), "portal")
	if err != nil {
		t.Fatal(err)
	}
	pool := oidc.NewPool(t.Context())
	options := login.Options{
		Settings: login.Settings{Address: r.dial, URL: r.url, CertificateFile: certificate, KeyFile: key},
		Cached:   manager, Live: manager, Namespace: operator, User: admission.DefaultManagerUser, Keys: login.NewKeyStore(manager, operator), Pool: pool,
		Log: funcr.New(func(prefix, args string) {
			select {
			case r.logs.lines <- prefix + " " + args:
			default:
			}
		}, funcr.Options{Verbosity: 1}),
	}
	for _, f := range change {
		f(&options)
	}
	portal, err := login.New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- portal.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	return r
}

// browser is a person's, or the client of a program: it keeps cookies, and stops where it is
// sent to a program on this machine.
func (r *replica) browser() *http.Client {
	r.Helper()
	roots := x509.NewCertPool()
	for _, pem := range [][]byte{portalCA.PEM, people.CertificateAuthorityPEM, robots.CertificateAuthorityPEM} {
		roots.AppendCertsFromPEM(pem)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.Fatal(err)
	}
	host := strings.TrimPrefix(r.url, "https://")
	var dialer net.Dialer
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == host {
				address = r.dial
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	r.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: patience, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if next.URL.Scheme == "http" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// answered is what was answered.
type answered struct {
	status int
	header http.Header
	body   string
	values map[string]any
	// closed says that the connection ends with the answer.
	closed bool
}

func (r *replica) do(c *http.Client, method, address string, form url.Values, header map[string]string) answered {
	r.Helper()
	if strings.HasPrefix(address, "/") {
		address = r.url + address
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(r.Context(), method, address, body)
	if err != nil {
		r.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		if name == "Host" {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	response, err := c.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	a := answered{status: response.StatusCode, header: response.Header, body: string(text), closed: response.Close}
	_ = json.Unmarshal(text, &a.values) // a page has none
	return a
}

func (a answered) text(name string) string {
	text, _ := a.values[name].(string)
	return text
}

// token posts to the token endpoint.
func (r *replica) token(form url.Values) answered {
	r.Helper()
	asking := r.browser()
	// One host has a bounded number of connections.
	defer asking.CloseIdleConnections()
	return r.do(asking, http.MethodPost, "/token", form, nil)
}

// person is a token of the people's issuer; robot one of the agents'.
func person(t *testing.T, name string, more map[string]any) string {
	t.Helper()
	return signed(t, people, name, more)
}

func robot(t *testing.T, name string, more map[string]any) string {
	t.Helper()
	all := map[string]any{"kind": "Agent"}
	for k, v := range more {
		all[k] = v
	}
	return signed(t, robots, name, all)
}

func signed(t *testing.T, by *oidctest.Server, name string, more map[string]any) string {
	t.Helper()
	all := map[string]any{"sub": "id-of-" + name, "preferred_username": name, "aud": audience}
	for k, v := range more {
		all[k] = v
	}
	token, err := by.Token(all)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// credential reads the object of an answer.
func credential(t *testing.T, name string) *v1alpha1.GatewayCredential {
	t.Helper()
	object := &v1alpha1.GatewayCredential{}
	if err := manager.Get(t.Context(), client.ObjectKey{Name: name}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func credentialsOf(t *testing.T, subject string) []v1alpha1.GatewayCredential {
	t.Helper()
	var all v1alpha1.GatewayCredentialList
	if err := manager.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var found []v1alpha1.GatewayCredential
	for _, one := range all.Items {
		if one.Spec.Owner.Subject == subject {
			found = append(found, one)
		}
	}
	return found
}
