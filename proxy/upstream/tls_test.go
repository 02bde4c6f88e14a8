// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTLSConfig(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	target, err := ParseTarget(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	cases := map[string]struct {
		reason  string
		tls     TLS
		invalid string
		refused string
	}{
		"CustomAuthority": {reason: "the given CA proves the target by its address", tls: TLS{CertificateAuthorityPEM: authority}},
		"ServerName":      {reason: "a server name overrides the address", tls: TLS{Mode: VerifyFull, ServerName: "example.com", CertificateAuthorityPEM: authority}},
		"WrongName":       {reason: "a certificate for another name is refused", tls: TLS{ServerName: "db.shop.svc", CertificateAuthorityPEM: authority}, refused: "db.shop.svc"},
		"SystemRoots":     {reason: "unset means the system's CAs, so a private one is refused", tls: TLS{}, refused: "unknown authority"},
		"BadAuthority":    {reason: "a CA that does not parse is an error, not an empty trust store", tls: TLS{CertificateAuthorityPEM: []byte("nothing")}, invalid: "PEM"},
		"BadMode":         {reason: "an unknown mode is an error, never less verification", tls: TLS{Mode: "Insecure"}, invalid: `"Insecure"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config, err := tc.tls.Config(target)
			if tc.invalid != "" {
				if err == nil || !strings.Contains(err.Error(), tc.invalid) {
					t.Errorf("%s: got %v, want it to name %s", tc.reason, err, tc.invalid)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			plain, _, err := Dial(t.Context(), []Target{target}, dialTimeout)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			err = tls.Client(plain, config).HandshakeContext(t.Context())
			if tc.refused == "" && err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("%s: got %v, want a refusal that names %q", tc.reason, err, tc.refused)
			}
		})
	}
}

func TestTLSDisabled(t *testing.T) {
	config, err := TLS{Mode: Disabled}.Config(Target{"db", 5432})
	if config != nil || err != nil {
		t.Errorf("Config = %v, %v, want none", config, err)
	}
	if _, err := (TLS{}).Config(Target{}); err == nil {
		t.Error("a target without a name cannot be verified and must be an error")
	}
}
