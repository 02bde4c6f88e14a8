// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/samltest"
)

// TestSAMLP: alice logs in at samlp, and the service provider takes its assertion for who
// she is, signed only and encrypted too; and no other answers than those to its requests.
func TestSAMLP(t *testing.T) {
	const entityID, relay, request = "https://doorward.dev/saml/staff", "the relay state", "id-0123456789abcdef0123456789abcdef"
	for name, tc := range map[string]struct {
		reason   string
		encrypts bool
	}{
		"Signed":    {reason: "TLS is enough where spec.saml.assertionEncryption says so"},
		"Encrypted": {reason: "to the portal's key, by what samlp encrypts with", encrypts: true},
	} {
		t.Run(name, func(t *testing.T) {
			answers := make(chan url.Values, 1)
			portal := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err == nil {
					answers <- r.PostForm
				}
				_, _ = io.WriteString(w, "logged in")
			}))
			address, err := proc.FreeAddress(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := portal.Listener.Close(); err != nil {
				t.Fatal(err)
			}
			if portal.Listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err != nil {
				t.Fatal(err)
			}
			portal.StartTLS()
			t.Cleanup(portal.Close)

			dir := t.TempDir()
			own, ownCertificate := pairOf(t, dir, "portal")
			_, _ = pairOf(t, dir, "idp")
			settings := map[string]any{
				"acs": portal.URL + "/acs", "signingCertificate": filepath.Join(dir, "idp.crt"), "signingKey": filepath.Join(dir, "idp.key"),
			}
			if tc.encrypts {
				settings["spCertificate"], settings["spPublicKey"] = filepath.Join(dir, "portal.crt"), filepath.Join(dir, "portal.pub")
			}
			provider := start(t, settings, "/metadata", node(t, "saml.mjs"))
			authorities := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: portal.Certificate().Raw}), provider.authority...)
			browser, err := NewBrowser(authorities, user, password)
			if err != nil {
				t.Fatal(err)
			}
			sp, err := saml.New(saml.Config{
				EntityID: entityID, ACSURL: portal.URL + "/acs", Metadata: browser.fetch(t, provider.url+"/metadata"), IdPEntityID: provider.url,
				EncryptionRequired: tc.encrypts, ClockSkew: time.Minute, Key: own, Certificate: ownCertificate,
			})
			if err != nil {
				t.Fatal(err)
			}
			asked, err := sp.AuthnRequest(request, relay, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if asked.Form != nil {
				t.Fatalf("samlp takes requests by redirect: %+v", asked)
			}
			if said, err := browser.Visit(t.Context(), asked.URL); err != nil || said != "logged in" {
				t.Fatalf("the login ends with %q, %v", said, err)
			}
			answer := <-answers
			if answer.Get("RelayState") != relay {
				t.Errorf("the relay state is %q", answer.Get("RelayState"))
			}
			assertion, err := sp.Response(answer.Get("SAMLResponse"), request, time.Now())
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			raw, err := assertion.Claims()
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Iss, Sub, Aud string
				Groups        []string
			}
			if err := json.Unmarshal(raw, &claims); err != nil || claims.Iss != provider.url || claims.Sub != user || claims.Aud != entityID || len(claims.Groups) != 2 {
				t.Errorf("%s: the claims are %s, %v", tc.reason, raw, err)
			}
			if _, err := sp.Response(answer.Get("SAMLResponse"), "id-of-another-request-0123456789", time.Now()); err == nil {
				t.Error("the answer is taken for that to another request")
			}
		})
	}
}

// fetch reads a document.
func (b *Browser) fetch(t *testing.T, address string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	document, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(document)
}

// pairOf makes an RSA key with a certificate, and writes both, and the public key, in PEM.
func pairOf(t *testing.T, dir, name string) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, certificate, err := samltest.NewKey(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".key": {Type: "PRIVATE KEY", Bytes: private}, name + ".crt": {Type: "CERTIFICATE", Bytes: certificate.Raw}, name + ".pub": {Type: "PUBLIC KEY", Bytes: public},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, certificate
}
