// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/egress"
)

// TestUpstreamDials (checklist 25): what leads to a machine's surroundings is refused when it
// is dialled.
func TestUpstreamDials(t *testing.T) {
	asking, err := newUpstreamClient("")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := asking.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestSecretIsForItsIssuer: whoever writes an IdentityProvider has no other's client secret
// sent to a token endpoint of theirs.
func TestSecretIsForItsIssuer(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		data   map[string][]byte
		ok     bool
	}{
		"Its":     {"the issuer it names", map[string][]byte{"clientSecret": []byte("s"), "issuer": []byte("https://id.example")}, true},
		"Other":   {"another issuer", map[string][]byte{"clientSecret": []byte("s"), "issuer": []byte("https://other.example")}, false},
		"Slash":   {"to the letter", map[string][]byte{"clientSecret": []byte("s"), "issuer": []byte("https://id.example/")}, false},
		"Nobody":  {"it names none", map[string][]byte{"clientSecret": []byte("s")}, false},
		"NoValue": {"it has no secret", map[string][]byte{"issuer": []byte("https://id.example")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			held := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "operator", Name: "portal"}, Type: v1alpha1.SecretTypeLogin, Data: tc.data}
			u := newUpstreams(func(string) string { return "https://login.example/callback" }, fake.NewClientBuilder().WithObjects(held).Build(), "operator")
			object := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Name: "corp"}}
			object.Spec.OIDC = &v1alpha1.OIDCProvider{Issuer: v1alpha1.OIDCIssuer{URL: "https://id.example"}}
			object.Spec.Login = &v1alpha1.LoginSettings{ClientID: "portal", ClientSecretRef: v1alpha1.LoginSecretReference{Name: "portal"}}
			config, err := u.config(t.Context(), object, &upstream{}, true)
			if (err == nil) != tc.ok || err == nil && config.ClientSecret != "s" {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if f := new(fault); errors.As(err, &f) && strings.Contains(f.text, "issuer") {
				t.Errorf("callers are told: %s", f.text)
			}
		})
	}
}

// issuing is an issuer on this machine, and a provider of it.
func issuing(t *testing.T, serve http.HandlerFunc) (*upstreams, *v1alpha1.IdentityProvider) {
	t.Helper()
	server := httptest.NewTLSServer(serve)
	t.Cleanup(server.Close)
	object := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Name: "corp", UID: "1"}}
	object.Spec.OIDC = &v1alpha1.OIDCProvider{Issuer: v1alpha1.OIDCIssuer{URL: server.URL, CertificateAuthority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))}}
	object.Spec.Login = &v1alpha1.LoginSettings{ClientID: "portal"}
	return newUpstreams(func(string) string { return "https://login.example/callback" }, nil, "operator"), object
}

// TestIssuerIsAskedSparingly (checklist 38): whoever opens the portal is nobody yet, and does
// not make of one request many to an issuer that fails.
func TestIssuerIsAskedSparingly(t *testing.T) {
	var asked atomic.Int32
	var well atomic.Bool
	u, object := issuing(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !well.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"issuer": "https://%[1]s", "authorization_endpoint": "https://%[1]s/authorize", "token_endpoint": "https://%[1]s/token"}`, r.Host)
	})
	all := func(good bool) {
		t.Helper()
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				if _, err := u.of(t.Context(), object); (err == nil) != good {
					t.Errorf("got %v, want an answer %t", err, good)
				}
			})
		}
		group.Wait()
	}
	later := func(d time.Duration) {
		for _, known := range u.known {
			known.askedAt = known.askedAt.Add(-d)
		}
	}
	all(false)
	if n := asked.Load(); n != 1 {
		t.Errorf("an issuer that fails was asked %d times at once", n)
	}
	well.Store(true)
	all(false)
	later(documentRetry)
	all(true)
	later(documentRetry)
	all(true)
	if n := asked.Load(); n != 2 {
		t.Errorf("it was asked %d times, want again once, and then not for a while", n)
	}
	later(documentFresh)
	all(true)
	if n := asked.Load(); n != 3 {
		t.Errorf("a document that is old is read again: %d", n)
	}
}

// TestIssuerErrors (checklist 47): what an issuer answers beside the words of RFC 6749 may hold
// anything, and neither the caller nor the log is told.
func TestIssuerErrors(t *testing.T) {
	const canary = "canary-of-the-issuer"
	for name, tc := range map[string]struct {
		reason string
		status int
		kind   string
		body   string
		code   string
		log    string
	}{
		"Status":   {"an error of somebody in between", http.StatusBadGateway, "text/html", canary, codeUnavailable, "502"},
		"Members":  {"the words of RFC 6749 and no other", http.StatusBadRequest, "application/json", `{"error": "invalid_grant", "error_description": "code is used", "refresh_token": "` + canary + `"}`, codeInvalidGrant, "code is used"},
		"NoJSON":   {"no token and no error", http.StatusOK, "application/json", `"` + canary, codeUnavailable, ""},
		"NoAccess": {"an answer without a token", http.StatusOK, "application/json", `{"refresh_token": "` + canary + `"}`, codeUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, object := issuing(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					fmt.Fprintf(w, `{"issuer": "https://%[1]s", "authorization_endpoint": "https://%[1]s/authorize", "token_endpoint": "https://%[1]s/token"}`, r.Host)
					return
				}
				w.Header().Set("Content-Type", tc.kind)
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			_, err := u.exchange(t.Context(), object, "code", "verifier")
			f := new(fault)
			if !errors.As(err, &f) || f.code != tc.code || f.cause == nil {
				t.Fatalf("%s: got %v, want %s and a cause for the log", tc.reason, err, tc.code)
			}
			if strings.Contains(err.Error(), canary) || !strings.Contains(f.cause.Error(), tc.log) {
				t.Errorf("%s: the log says %q", tc.reason, err)
			}
		})
	}
}
