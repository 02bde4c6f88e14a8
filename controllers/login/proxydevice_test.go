// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/config/admission"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/devicelogin"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/snapshot"
)

// at is how a proxy's snapshot names the portal.
func (r *replica) at() snapshot.LoginPortal {
	return snapshot.LoginPortal{URL: r.url, CA: string(portalCA.PEM)}
}

// newLogins are those of one proxy.
func newLogins(t *testing.T) *devicelogin.Logins {
	t.Helper()
	logins := devicelogin.New()
	t.Cleanup(logins.Close)
	return logins
}

// begun is a login that a proxy has begun for a caller, with the parts of its link.
func (r *replica) begun(l *devicelogin.Logins) (d access.DeviceLogin, code, hint string) {
	r.Helper()
	d, err := l.Begin(r.Context(), access.DeviceAsking{
		Portal: r.at(), Connection: snapshot.Connection{Namespace: "shop", Name: "web"}, Client: "203.0.113.77",
	})
	if err != nil {
		r.Fatal(err)
	}
	link, err := url.Parse(d.Link())
	if err != nil {
		r.Fatal(err)
	}
	return d, link.Query().Get("user_code"), link.Query().Get("hint")
}

// verifier is that of a proxy, for what the portal signs.
func verifier(t *testing.T) *gateway.Verifier {
	t.Helper()
	var keys [][]byte
	for _, key := range publicKeys(t) {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, der)
	}
	v, err := gateway.NewVerifier(keys, "", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDeviceOfProxy: a proxy has a caller log in by a browser. The person is shown what the login
// is for and where the caller is (RFC 8628, section 5.4), and what comes of it is good for
// this login alone (checklist 29, 30, 34).
func TestDeviceOfProxy(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "pat")
	logins := newLogins(t)
	d, code, hint := r.begun(logins)
	if code != d.UserCode() {
		t.Errorf("the link has code %q, want %q", code, d.UserCode())
	}
	if page := r.do(r.browser(), http.MethodGet, d.Link(), nil, nil); page.status != 200 || !strings.Contains(page.body, code) {
		t.Errorf("the link shows the code and waits: %d %s", page.status, page.body)
	}
	browser := r.browser()
	page := r.do(browser, http.MethodPost, "/device", url.Values{"user_code": {code}, "hint": {hint}, "provider": {"company"}}, nil)
	for _, want := range []string{code, "shop/web", "203.0.113.77"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not show %q: %s", want, page.body)
		}
	}
	form := fields(page.body)
	form.Set("decision", "allow")
	if got := r.do(browser, http.MethodPost, "/confirm", form, nil); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	got, err := d.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t)
	statement, err := v.BoundToken(got.Token(), got.Secret())
	if err != nil || statement.Provider != "company" {
		t.Errorf("the proxy does not take it: %+v, %v", statement, err)
	}
	if object := credential(t, statement.ID); object.Spec.Owner.Subject != "id-of-pat" || len(object.Annotations) > 0 {
		t.Errorf("the object is of somebody else, or keeps what was sealed: %+v", object)
	}
	if _, err := v.Token(got.Token()); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("a bearer of it is somebody: %v", err)
	}
	if refused := r.token(exchanging(got.Token(), "subject_token_type", "urn:ietf:params:oauth:token-type:jwt")); refused.status == 200 || !strings.Contains(refused.body, "bound") {
		t.Errorf("it is exchanged for one that is not bound: %s", refused.body)
	}
	if _, err := d.Wait(t.Context()); !errors.Is(err, access.ErrLoginDenied) {
		t.Errorf("it is given out twice: %v", err)
	}
	giving := url.Values{"client_id": {gateway.ProxyClient}, "token": {got.Token()}, "code_verifier": {gateway.NewSecret()}}
	if refused := r.do(r.browser(), http.MethodPost, "/revoke", giving, nil); refused.status != 200 || len(credentialsOf(t, "id-of-pat")) != 1 {
		t.Errorf("somebody else has given it back: %d %s", refused.status, refused.body)
	}
	d.Close()
	if left := credentialsOf(t, "id-of-pat"); len(left) != 0 {
		t.Errorf("it stays when the login is over: %d", len(left))
	}
	if refused := r.do(r.browser(), http.MethodPost, "/revoke", url.Values{"client_id": {login.ClientID}, "token": {got.Token()}}, nil); refused.status == 200 {
		t.Error("the plugin gives credentials back")
	}
}

// TestDeviceOfProxyDeclined: the proxy hears that the person has said no, and tells its caller.
func TestDeviceOfProxyDeclined(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "nils")
	logins := newLogins(t)
	d, code, hint := r.begun(logins)
	if got := r.decide(r.browser(), code, hint, "deny"); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if _, err := d.Wait(t.Context()); !errors.Is(err, access.ErrLoginDenied) || !strings.Contains(err.Error(), "refused in the browser") {
		t.Errorf("the proxy hears %v", err)
	}
}

// TestRevokedIsNotGivenBack (checklist 36): what is revoked stays, for it is named in snapshots.
func TestRevokedIsNotGivenBack(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "rex")
	logins := newLogins(t)
	d, code, hint := r.begun(logins)
	if got := r.approve(r.browser(), code, hint); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if _, err := d.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	object := credentialsOf(t, "id-of-rex")[0]
	object.Spec.Revoke = &v1alpha1.Revocation{Reason: "lost", Username: admission.DefaultManagerUser}
	if err := manager.Update(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if left := credentialsOf(t, "id-of-rex"); len(left) != 1 {
		t.Errorf("%d are left", len(left))
	}
}

// TestDeviceOfProxyPhished: who was not told what the login is for has let nobody in.
func TestDeviceOfProxyPhished(t *testing.T) {
	r := serve(t, nil)
	allow(t, r, "vic")
	logins := newLogins(t)
	_, _, elsewhere := r.begun(logins)
	for name, hint := range map[string]string{"no hint": "", "that of another code": elsewhere} {
		d, code, _ := r.begun(logins)
		if got := r.approve(r.browser(), code, hint); got.status != 200 || strings.Contains(got.body, "shop/web") {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		if _, err := d.Wait(t.Context()); !errors.Is(err, access.ErrLoginDenied) || !strings.Contains(err.Error(), "without the link") {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, _, _ := r.begun(logins)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
}

// TestDeviceOfProxyRefused: what is no question of a proxy's.
func TestDeviceOfProxyRefused(t *testing.T) {
	r := serve(t, nil)
	secret := gateway.NewSecret()
	asking := func(changes ...string) answered {
		form := url.Values{
			"client_id": {gateway.ProxyClient}, "code_challenge": {gateway.Challenge(secret)}, "code_challenge_method": {"S256"},
			"connection": {"shop/web"}, "client_address": {"203.0.113.77"},
		}
		for i := 0; i < len(changes); i += 2 {
			form.Set(changes[i], changes[i+1])
		}
		return r.do(r.browser(), http.MethodPost, "/device_authorization", form, nil)
	}
	good := asking()
	if good.status != 200 {
		t.Fatalf("got %d %s", good.status, good.body)
	}
	for name, changes := range map[string][]string{
		"the plugin for a Connection":  {"client_id", login.ClientID},
		"no Connection":                {"connection", ""},
		"a Connection that is markup":  {"connection", "shop/<b>web</b>"},
		"a Connection without a place": {"connection", "web"},
		"no address":                   {"client_address", ""},
		"a name":                       {"client_address", "trusted.example"},
		"an address of another form":   {"client_address", "0203.0.113.77"},
		"a zone":                       {"client_address", "fe80::1%<b>"},
		"no challenge":                 {"code_challenge", ""},
		"another client":               {"client_id", "x"},
	} {
		if got := asking(changes...); got.status == 200 {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	got := r.token(url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {login.ClientID},
		"device_code": {good.text("device_code")}, "code_verifier": {secret},
	})
	if got.text("error") != "invalid_client" {
		t.Errorf("the plugin redeems a proxy's code: %d %s", got.status, got.body)
	}
}
