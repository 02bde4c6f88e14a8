// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/idp"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

const (
	// company is the IdentityProvider of the people.
	company = "company"
	// portalClient is what the issuer knows the login portal by, and the name of the Secret
	// with its client secret.
	portalClient = "doorward-portal"
)

// The usual ports, as the chart has them. On reviewPort, the plugin looks for a proxy that
// answers what somebody may do there.
const (
	portalPort     = 8443
	reviewPort     = 8444
	recordingsPort = 8445
)

// offer is what there is for people beside the API server and psql's port: addresses of the
// manager's login portal, of its recordings, and where the shop's proxy is asked.
type offer struct{ login, recordings, review string }

func newOffer(ctx context.Context) (*offer, error) {
	o := &offer{}
	for _, each := range []struct {
		address *string
		port    int
	}{{&o.login, portalPort}, {&o.review, reviewPort}, {&o.recordings, recordingsPort}} {
		var err error
		if *each.address, err = usualOrFree(ctx, each.port); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// usualOrFree is an address with a port, or with a free one where that is taken, such as by
// another playground.
func usualOrFree(ctx context.Context, port int) (string, error) {
	address := net.JoinHostPort(proc.Loopback, strconv.Itoa(port))
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return proc.FreeAddress(ctx)
	}
	return address, listener.Close()
}

// portal is the URL of the login portal.
func (o *offer) portal() string {
	_, port, _ := net.SplitHostPort(o.login)
	return "https://localhost:" + port
}

// managerArgs have the manager serve both.
func (o *offer) managerArgs() []string {
	return []string{"--login-address=" + o.login, "--login-url=" + o.portal(), "--recordings-address=" + o.recordings}
}

// proxyArgs have the shop's proxy answer, and give the manager recordings.
func (o *offer) proxyArgs() []string {
	return []string{recordingsOf(stack.Connection), fmt.Sprintf("--review-address=%s/%s=%s", stack.Namespace, stack.Connection, o.review)}
}

// recordingsOf has the proxy of a Connection give the manager recordings.
func recordingsOf(connection string) string {
	return fmt.Sprintf("--recordings-address=%s/%s=%s", stack.Namespace, connection, net.JoinHostPort(proc.Loopback, "0"))
}

// openPortal makes the portal a client of the issuer, as an admin would: docs/identity/login.md.
func (p *playground) openPortal(ctx context.Context) error {
	secret := rand.Text()
	p.Issuer.AllowLogin(portalClient, secret, p.offer.portal()+"/oidc/"+company+"/callback")
	if err := p.Admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.OperatorNamespace, Name: portalClient}, Type: v1alpha1.SecretTypeLogin,
		StringData: map[string]string{v1alpha1.LoginKeyClientSecret: secret, v1alpha1.LoginKeyIssuer: p.Issuer.URL},
	}); err != nil {
		return fmt.Errorf("cannot keep the portal's client secret: %w", err)
	}
	provider := &v1alpha1.IdentityProvider{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Name: company}, provider); err != nil {
		return fmt.Errorf("cannot read IdentityProvider %q: %w", company, err)
	}
	before := client.MergeFrom(provider.DeepCopy())
	provider.Spec.OIDC.Issuer.Audiences = append(provider.Spec.OIDC.Issuer.Audiences, portalClient)
	provider.Spec.Login = &v1alpha1.LoginSettings{
		LifetimeSeconds: 28800, ClientID: portalClient, ClientSecretRef: v1alpha1.LoginSecretReference{Name: portalClient},
	}
	if err := p.Admin.Patch(ctx, provider, before); err != nil {
		return fmt.Errorf("cannot let people log in by IdentityProvider %q: %w", company, err)
	}
	return nil
}

// browse plays a person at a browser, who is logged in at the issuer and says yes.
func browse(ctx context.Context, dir string, args []string) error {
	set := flag.NewFlagSet("browser", flag.ContinueOnError)
	groups := set.String("groups", "", "groups of the user, separated by commas")
	address := set.String("visit", "", "where to go: the address that `kubectl doorward login` prints")
	user, err := parse(set, args)
	if err != nil {
		return err
	}
	target, err := url.Parse(*address)
	if user == "" || err != nil || target.Scheme != "https" {
		return errors.New("who goes where? playground browser USER --groups A,B --visit 'https://...'")
	}
	opened, err := stack.OpenIssuer(dir)
	if err != nil {
		return err
	}
	token, err := opened.TokenFor(issuer.Request{User: user, Groups: split(*groups), Audience: issuer.LoginAudience})
	if err != nil {
		return err
	}
	authorities, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return fmt.Errorf("cannot tell the portal's certificate from others: %w", err)
	}
	browser, err := idp.NewBrowser(append(bytes.TrimSpace(authorities), append([]byte("\n"), opened.CAPEM...)...), user, token)
	if err != nil {
		return err
	}
	said, err := browser.Visit(ctx, *address)
	if err != nil {
		return err
	}
	fmt.Println(said)
	return nil
}
