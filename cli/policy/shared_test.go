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

// noShared denies everything to those whose credential is shared.
const noShared = `# Nobody with a credential that others use too.
apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata:
  name: no-shared
  namespace: shop-access
spec:
  mode: Enforce
  when: [{type: SharedCredential}]
  subjects: [{kind: Everyone, identityProvider: "*"}]
  connections: [{name: orders-db}]
  rules: [{name: none, effect: Deny, actions: ["*"]}]
  masks: []
  limits: []
  targetRole: ""
---
# Analysts read,`

// TestSharedCredential: explain and test know whose credential was found shared.
func TestSharedCredential(t *testing.T) {
	dir := edited(t, "policies.yaml", "# Analysts read,", noShared)
	question := []string{"explain", "-f", dir, "-c", "orders-db", "--as", "alice", "--group", "analysts", "--provider", "company", "--from", "10.1.2.3", "select public.orders"}
	out, err := call(t, question...)
	if err != nil || !strings.Contains(out, "shared credential: the caller's is not known to be one") {
		t.Errorf("not shared: %v\n%s", err, out)
	}
	out, err = call(t, append(question, "--shared-credential")...)
	if err == nil || !strings.Contains(out, "no-shared/none") {
		t.Errorf("shared: %v\n%s", err, out)
	}

	for _, tc := range []struct {
		reason, shared string
		want           error
	}{
		{"a case says that the credential is shared", "    sharedCredential: true\n", nil},
		{"nobody's is where nothing is said", "", clipolicy.ErrTestsFailed},
	} {
		policies, err := os.ReadFile(filepath.Join(dir, "policies.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		const first = "cases:\n"
		dir := edited(t, "tests.yaml", first, first+"  - name: nobody with a shared credential\n    caller: alice\n    connection: orders-db\n    accesses: [select public.orders]\n"+
			tc.shared+"    expect:\n      effect: Deny\n      rules: [no-shared/none]\n")
		if err := os.WriteFile(filepath.Join(dir, "policies.yaml"), policies, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := call(t, "test", dir); !errors.Is(err, tc.want) || (err != nil) != (tc.want != nil) {
			t.Errorf("%s: %v\n%s", tc.reason, err, out)
		}
	}
}
