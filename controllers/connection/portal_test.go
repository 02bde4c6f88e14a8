// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/testcert"
)

// TestPortal: what proxies are told of the portal. That of the manager's own authority is with
// the whole manager, in controllers/setup.
func TestPortal(t *testing.T) {
	authority, err := testcert.NewCA("portal")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const at = "https://login.example"
	for name, tc := range map[string]struct {
		reason string
		portal Portal
		want   snapshot.LoginPortal
		fault  string
	}{
		"None":    {"no portal", Portal{}, snapshot.LoginPortal{}, ""},
		"System":  {"a certificate of a public authority", Portal{URL: at}, snapshot.LoginPortal{URL: at}, ""},
		"File":    {"one of the company's", Portal{URL: at, CAFile: file("ca.crt", authority.PEM)}, snapshot.LoginPortal{URL: at, CA: string(authority.PEM)}, ""},
		"Missing": {"the Secret has no ca.crt: the system's authorities are not meant", Portal{URL: at, CAFile: filepath.Join(dir, "none")}, snapshot.LoginPortal{}, "--login-ca"},
		"Faulty":  {"no certificate", Portal{URL: at, CAFile: file("faulty", []byte("x"))}, snapshot.LoginPortal{}, "--login-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&Reconciler{Options: Options{Portal: tc.portal}}).portal(t.Context())
			if got != tc.want || (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("%s: %+v, %v", tc.reason, got, err)
			}
		})
	}
}
