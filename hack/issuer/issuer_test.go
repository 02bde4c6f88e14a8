// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority makes a certificate authority as the PEM pair that Config wants.
func authority(t *testing.T) (certificate, key []byte) {
	t.Helper()
	made, private, err := oidctest.NewAuthorityPEM("playground")
	if err != nil {
		t.Fatal(err)
	}
	return made, private
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := proc.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// TestPlayground: a token made by one process is believed by a verifier that
// reaches the issuer of another, which shares the key file.
func TestPlayground(t *testing.T) {
	certificate, key := authority(t)
	config := Config{
		Address: freeAddress(t), AuthorityCertificatePEM: certificate, AuthorityKeyPEM: key,
		KeyFile: filepath.Join(t.TempDir(), "key.pem"), Audience: "doorward", Lifetime: time.Hour,
	}
	serving, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := serving.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serving.Serve(ctx, listener) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v", err)
		}
	}()

	config.AuthorityCertificatePEM, config.AuthorityKeyPEM = nil, nil
	making, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	token, err := making.Token(Request{User: "alice", Groups: []string{"analysts"}, Kind: "Agent"})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := oidc.New(t.Context(), oidc.Config{
		Name: "playground", IssuerURL: serving.URL(), Audiences: []string{"doorward"}, CertificateAuthorityPEM: certificate,
		UsernameClaim: "email", GroupsClaim: "groups", KindClaim: "kind",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	got, err := verifier.Verify(t.Context(), identity.BearerToken(token))
	if err != nil {
		t.Fatal(err)
	}
	want := identity.Principal{UserName: "alice@example.com", Subject: "alice", Groups: []string{"analysts"}, Kind: identity.Agent}
	got = identity.Principal{UserName: got.UserName, Subject: got.Subject, Groups: got.Groups, Kind: got.Kind}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDiscovery: what kube-apiserver asks for is there.
func TestDiscovery(t *testing.T) {
	server, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	block, _ := pem.Decode(server.CertificateAuthorityPEM)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	response, err := client.Get(server.URL() + oidctest.DiscoveryPath)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var document struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	if document.Issuer != server.URL() || document.Keys != server.URL()+oidctest.KeysPath {
		t.Errorf("discovery = %+v", document)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := Config{Address: "127.0.0.1:4443", KeyFile: filepath.Join(t.TempDir(), "key.pem"), Audience: "a", Lifetime: time.Hour}
	if _, err := Open(good); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open.pem")
	content, err := os.ReadFile(good.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		change func(*Config)
		text   string
	}{
		"AllAddresses": {reason: "the issuer is for this machine only", change: func(c *Config) { c.Address = "0.0.0.0:4443" }, text: "loopback"},
		"Name":         {reason: "a name may resolve to anything", change: func(c *Config) { c.Address = "localhost:4443" }, text: "loopback"},
		"OpenKey":      {reason: "whoever reads the key makes tokens", change: func(c *Config) { c.KeyFile = open }, text: "0600"},
		"NoAudience":   {reason: "a token without audience would be for anybody", change: func(c *Config) { c.Audience = "" }, text: "audience"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := good
			tc.change(&config)
			if _, err := Open(config); err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %v, want an error that names %q", tc.reason, err, tc.text)
			}
		})
	}
}
