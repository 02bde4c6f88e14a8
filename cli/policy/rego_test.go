// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clipolicy "github.com/doorward/doorward/cli/policy"
)

// reporting is a policy that a module decides.
const reporting = `---
apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata:
  name: reporting
  namespace: shop-access
spec:
  mode: Enforce
  when: []
  subjects:
    - {kind: Group, name: reporting, identityProvider: company}
  connections:
    - name: orders-db
  rules: []
  masks: []
  limits: []
  targetRole: ""
  rego:
    source: Inline
    inline: |
      package doorward.policy

      allow contains access if {
      	some access in input.operation.accesses
      	access.action == "select"
      }
`

// TestModules: what a module of Rego decides is explained by the policy that holds it.
func TestModules(t *testing.T) {
	dir := edited(t, "tests.yaml", "cases:", "cases:")
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "reporting.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(reporting)
	ask := func(operation string) (string, error) {
		return call(t, "explain", "-f", dir, "--provider", "company", "--as", "rob", "--group", "reporting", "-c", "orders-db", "--at", "2026-11-28T12:00:00Z", operation)
	}
	out, err := ask("select public.orders")
	if want := "AccessPolicy reporting  " + dir + "/reporting.yaml:18"; err != nil || !strings.Contains(out, want) {
		t.Errorf("a module allows: no %q: %v\n%s", want, err, out)
	}
	out, err = ask("create private.notes")
	if want := "be allowed by the module of Rego of AccessPolicy reporting"; !errors.Is(err, clipolicy.ErrDenied) || !strings.Contains(out, want) {
		t.Errorf("a module does not allow: no %q: %v\n%s", want, err, out)
	}
	write(strings.Replace(reporting, "access.action ==", "access.action =/=", 1))
	out, err = call(t, "test", dir)
	if want := "reporting.yaml:25: AccessPolicy shop-access/reporting is not accepted"; !errors.Is(err, clipolicy.ErrTestsFailed) || !strings.Contains(out, want) {
		t.Errorf("a module does not compile: no %q: %v\n%s", want, err, out)
	}
}
