// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/idp"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/stack"
)

const (
	// portalService is the login portal's in the cluster.
	portalService = "doorward-login." + system + ".svc:443"
	// portalClient is what the issuer knows the portal by, and the name of its Secret.
	portalClient = "doorward-portal"
)

// startPortal is the way from this machine to the login portal, which is installed later:
// it answers to the name that it is reached by.
func startPortal(t *testing.T, s *site) *relay.Relay {
	t.Helper()
	r, err := relay.Start(func(ctx context.Context) (net.Conn, error) { return s.Dial(ctx, "tcp", portalService) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("cannot end the way to the portal: %v", err)
		}
	})
	return r
}

// portalURL is what people know the login portal by. Its certificate is of the manager's authority.
func (s *site) portalURL() string {
	_, port, _ := net.SplitHostPort(s.portal.Address())
	return "https://localhost:" + port
}

// withPortal are values of the chart.
func (s *site) withPortal() []string {
	return []string{"--set=login.enabled=true", "--set=login.url=" + s.portalURL()}
}

// openPortal makes the portal a client of the issuer, as docs/identity/login.md says, and
// waits until people can log in.
func (s *site) openPortal(t *testing.T, user string, groups ...string) {
	t.Helper()
	secret := rand.Text()
	s.issuer.Allow(oidctest.Client{
		ID: portalClient, Secret: secret, Redirect: s.portalURL() + "/oidc/" + provider + "/callback",
		Claims: map[string]any{"sub": user, "preferred_username": user, "groups": groups, "tenant": "shop"},
	})
	s.apply(t, fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: %s, namespace: %s}
type: %s
stringData: {clientSecret: %s, issuer: %q}
`, portalClient, system, v1alpha1.SecretTypeLogin, secret, s.issuer.URL()))
	s.kubectl(t, "patch", "identityprovider", provider, "--type=json", "--patch", fmt.Sprintf(`[
  {"op": "add", "path": "/spec/oidc/issuer/audiences/-", "value": %[1]q},
  {"op": "add", "path": "/spec/login", "value": {"lifetimeSeconds": 3600, "clientID": %[1]q, "clientSecretRef": {"name": %[1]q}}}]`, portalClient))
	var authorities string
	await(t, "the trust bundle", func(ctx context.Context) (err error) {
		authorities, err = s.trust(ctx)
		return err
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(authorities))
	asking := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}}
	await(t, "the login portal", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.portalURL()+"/device", http.NoBody)
		if err != nil {
			return err
		}
		answer, err := asking.Do(request)
		if err != nil {
			return err
		}
		page, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		if !bytes.Contains(page, []byte(">"+provider+"</button>")) {
			return fmt.Errorf("nobody can log in at %q: %s", provider, page)
		}
		return nil
	})
}

var deviceLink = regexp.MustCompile(`(?m)^Or visit (https://\S+) and compare`)

// browser NAME: whoever is logged in at the issuer opens the link that a command in the
// background shows, and says yes.
func (w *walk) browser(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 1, "browser NAME")
	r, ctx := w.find(ts, args[0]), w.patience(ts)
	var link string
	ts.Check(stack.Await(ctx, func(context.Context) error {
		found := deviceLink.FindStringSubmatch(r.text(ts))
		if found == nil {
			return fmt.Errorf("no link in:\n%s", r.text(ts))
		}
		link = found[1]
		return nil
	}))
	trusted, err := w.trust(ctx)
	ts.Check(err)
	b, err := idp.NewBrowser([]byte(trusted+"\n"+string(w.issuer.ca)), "", "")
	ts.Check(err)
	// The portal is on this machine, the issuer on the node.
	b.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "localhost:") {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, address)
		}
		return w.Dial(ctx, network, address)
	})
	page, err := b.Visit(ctx, link)
	ts.Check(err)
	if !strings.Contains(page, "You are logged in") {
		ts.Fatalf("the portal says: %s", page)
	}
}

// credential NAME USER: $NAME is the one token of a user that the portal has issued.
func (w *walk) credential(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 2, "credential NAME USER")
	var all v1alpha1.GatewayCredentialList
	ts.Check(w.admin.List(w.patience(ts), &all))
	if len(all.Items) != 1 || all.Items[0].Spec.Owner.Username != args[1] {
		ts.Fatalf("want one credential, of %s: %+v", args[1], all.Items)
	}
	ts.Setenv(args[0], all.Items[0].Name)
}
