// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package duties shows that what an AccessPolicy asks of a protocol besides yes
// and no (masks, limits, a role) is done, from the YAML of an admin to what psql
// prints: API server, manager, proxy and PostgreSQL are real.
package duties

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// clientTimeout bounds one run of psql on a loaded machine.
const clientTimeout = time.Minute

// world is the stack that all tests use.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(stacktest.Run(m, &world, stack.Options{})) }

// policy is an AccessPolicy of a user of the same name, who may read everything.
func policy(name, duties string) string {
	return fmt.Sprintf(`
apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata: {namespace: %[1]s, name: %[2]s}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: User, name: %[2]s, identityProvider: company}]
  connections: [{name: %[3]s}]
  rules:
  - {name: use, effect: Allow, actions: [evaluate, transaction, session, show, set, select], resources: ['*']}
%[4]s
`, stack.Namespace, name, stack.Connection, duties)
}

// psql runs statements as a user, each as a query of its own, and returns all
// that is printed.
func psql(t *testing.T, user string, statements ...string) string {
	t.Helper()
	token, err := world.Issuer.TokenFor(issuer.Request{User: user, Audience: stack.GatewayAudience})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(world.Postgres.BinDir, "psql"), "-XAtw", "-v", "VERBOSITY=verbose", world.PSQL(world.Proxy()))
	command.Env = append(os.Environ(), "PGPASSWORD="+token, "LC_ALL=C.UTF-8")
	command.Stdin = strings.NewReader(strings.Join(statements, "\n") + "\n")
	out, err := command.CombinedOutput()
	if err != nil && command.ProcessState.ExitCode() != 3 {
		t.Logf("psql: %v", err)
	}
	return string(out)
}

func TestDuties(t *testing.T) {
	if err := world.Postgres.Exec(t.Context(), "CREATE ROLE reader NOLOGIN", "GRANT reader TO "+stack.Role); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason     string
		duties     string
		statements []string
		want, not  []string
	}{
		"rows-per-statement": {
			reason:     "no row beyond the limit leaves, in no state of the session, and the session lives on",
			duties:     "  masks: []\n  targetRole: ''\n  limits: [{type: RowsPerStatement, maximum: 5}]",
			statements: []string{"SELECT 'few', count(*) FROM (SELECT id FROM orders LIMIT 5) x;", "SELECT 'row' FROM orders;", "BEGIN;", "SELECT 'inside' FROM orders;", "ROLLBACK;", "SELECT 'still here';"},
			want:       []string{"few|5", "53400", `limit RowsPerStatement of AccessPolicy "rows-per-statement"`, "LIMIT", "still here"},
		},
		"bytes-per-window": {
			reason:     "what is over a window's bytes waits for the next",
			duties:     "  masks: []\n  targetRole: ''\n  limits: [{type: BytesPerWindow, maximum: 2000, windowSeconds: 3600}]",
			statements: []string{"SELECT repeat('x', 1500);", "SELECT 'second' || repeat('y', 1500);"},
			want:       []string{"xxxx", "53400", "BytesPerWindow"},
			not:        []string{"secondyyy"},
		},
		"derived-mask": {
			reason:     "what is made of a masked column is masked as a whole, the rest of the row is not",
			duties:     "  targetRole: ''\n  limits: []\n  masks: [{name: contact, fields: [public.customers.email], derived: Mask, method: {type: Redact}}]",
			statements: []string{"SELECT id, upper(email), email FROM customers WHERE id = 3;", "SELECT id FROM customers WHERE email LIKE 'customer3@%';"},
			want:       []string{"3|[masked]|[masked]", "42501"},
			not:        []string{"EXAMPLE.COM", "@example.com"},
		},
		"derived-deny": {
			reason:     "where derived is unset, what is made of a masked column is refused",
			duties:     "  targetRole: ''\n  limits: []\n  masks: [{name: contact, fields: [public.customers.email], method: {type: Redact}}]",
			statements: []string{"SELECT upper(email) FROM customers WHERE id = 3;", "SELECT email FROM customers WHERE id = 3;"},
			want:       []string{"42501", "[masked]"},
			not:        []string{"EXAMPLE.COM", "@example.com"},
		},
		"detect": {
			reason:     "content is masked by what it looks like, in columns that no mask names",
			duties:     "  targetRole: ''\n  limits: []\n  masks: [{name: cards, detect: [PaymentCard, Email], method: {type: Redact}}]",
			statements: []string{"SELECT id, email FROM customers WHERE id = 7;", "SELECT 'call 5555555555554444 now';"},
			want:       []string{"7|[masked]"},
			not:        []string{"@example.com", "5555555555554444"},
		},
		"keyed": {
			reason:     "keyed methods keep what is equal equal and digits digits",
			duties:     "  targetRole: ''\n  limits: []\n  masks:\n  - {name: email, fields: [public.customers.email], method: {type: Hash}}\n  - {name: phone, fields: [public.customers.phone], method: {type: Digits}}",
			statements: []string{"SELECT 'phone', phone FROM customers WHERE id = 1;", "SELECT 'email', email FROM customers WHERE id = 1;"},
			want:       []string{"phone|+", "email|"},
			not:        []string{"+49 30 0900001", "@example.com"},
		},
		"target-role": {
			reason:     "the session has the policy's role at the target and cannot leave it",
			duties:     "  masks: []\n  limits: []\n  targetRole: reader",
			statements: []string{"SELECT 'role', current_user;", "RESET ROLE;", "SELECT set_config('role', 'none', false);", "SELECT 'role', current_user;"},
			want:       []string{"role|reader"},
			not:        []string{"role|" + stack.Role},
		},
	}
	var manifests []string
	for name, tc := range cases {
		manifests = append(manifests, policy(name, tc.duties))
	}
	if err := world.Apply(t.Context(), manifests...); err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			if err := world.AwaitPolicy(t.Context(), stack.Connection, name); err != nil {
				t.Fatal(err)
			}
			printed := psql(t, name, tc.statements...)
			for _, want := range tc.want {
				if !strings.Contains(printed, want) {
					t.Errorf("psql prints no %q", want)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(printed, not) {
					t.Errorf("psql prints %q", not)
				}
			}
			for _, line := range []string{"row", "inside"} {
				if n := strings.Count("\n"+printed, "\n"+line+"\n"); n > 5 {
					t.Errorf("%d rows of %q left, the limit is 5", n, line)
				}
			}
			if t.Failed() {
				t.Logf("psql prints:\n%s", printed)
			}
		})
	}
}
