// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/cli/endpoint"
)

// TestService: an endpoint is a Service's where its name is one of its own namespace.
func TestService(t *testing.T) {
	cases := map[string]struct {
		reason, endpoint string
		want             string
	}{
		"Service":   {"as the manager writes it", "doorward-db.shop.svc:5432", "doorward-db"},
		"Long":      {"with the cluster's domain", "doorward-db.shop.svc.cluster.local:5432", "doorward-db"},
		"Namespace": {"another namespace's Services are not the Connection's", "doorward-db.till.svc:5432", ""},
		"Outside":   {"a name that anybody knows", "db.example.com:5432", ""},
		"Address":   {"an address", "192.0.2.1:5432", ""},
		"Short":     {"too short for one", "doorward-db.shop:5432", ""},
		"NoPort":    {"no endpoint", "doorward-db.shop.svc", ""},
		"Empty":     {"none yet", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := endpoint.Service("shop", tc.endpoint)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("%s: %q, %t, want %q", tc.reason, got, ok, tc.want)
			}
		})
	}
}

// TestReach: what is dialled is the endpoint itself, unless only the cluster knows it; what
// is no Service is not forwarded to.
func TestReach(t *testing.T) {
	way, err := endpoint.Reach(t.Context(), nil, endpoint.Never, "shop", "doorward-db.shop.svc:5432", "review")
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	if at, err := way.Address(t.Context()); err != nil || at != "doorward-db.shop.svc:5432" {
		t.Errorf("%q, %v", at, err)
	}
	if _, err := endpoint.Reach(t.Context(), nil, endpoint.Always, "shop", "db.example.com:5432", ""); err == nil || !strings.Contains(err.Error(), "leave out --port-forward") {
		t.Errorf("forwarded to a name outside: %v", err)
	}
	if err := endpoint.CheckForward("perhaps"); err == nil {
		t.Error("another value is taken")
	}
}

// TestAuthoritiesFile: the error names the file.
func TestAuthoritiesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	if _, err := endpoint.Authorities(t.Context(), nil, "shop", path, "doorward-caller"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no error that names the file: %v", err)
	}
	if err := os.WriteFile(path, []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pem, err := endpoint.Authorities(t.Context(), nil, "shop", path, "doorward-caller"); err != nil || string(pem) != "PEM" {
		t.Errorf("%q, %v", pem, err)
	}
}
