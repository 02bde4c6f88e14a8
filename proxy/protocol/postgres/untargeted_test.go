// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
)

func TestReadStatements(t *testing.T) {
	one := func(action, resource string) []policy.Access {
		return []policy.Access{{Action: action, Resource: resource}}
	}
	cases := map[string]struct {
		reason     string
		text       string
		want       []policy.Access
		properties []string
		fails      string
	}{
		"Delete":       {reason: "a statement without WHERE says so", text: "DELETE FROM public.orders", want: one("delete", "public.orders"), properties: []string{"unboundedWrite"}},
		"Operator":     {reason: "the equality of a condition is the server's", text: "SELECT * FROM public.orders WHERE id = 3", want: one("select", "public.orders")},
		"Function":     {reason: "a well-known function is the server's", text: "SELECT count(*) FROM public.orders", want: one("select", "public.orders")},
		"Column":       {reason: "a column of an alias is no call", text: "SELECT o.id FROM public.orders o", want: one("select", "public.orders")},
		"NoRelation":   {reason: "what reads no relation is evaluated", text: "SELECT lower('A')", want: one("evaluate", "")},
		"Begin":        {reason: "no name is needed", text: "BEGIN", want: one("transaction", "")},
		"Unqualified":  {reason: "which relation it is hangs on the search path", text: "DELETE FROM orders", fails: "write it with its schema"},
		"Unknown":      {reason: "what a function does is not guessed", text: "SELECT pg_read_file('/etc/passwd')", fails: "function pg_read_file"},
		"Quoted":       {reason: "nor behind quotes", text: "SELECT \"pg_terminate_backend\" (1)", fails: "function pg_terminate_backend"},
		"UserFunction": {reason: "a function of a user's needs its rule", text: "SELECT public.purge()", want: one("execute", "public.purge")},
		"Unparseable":  {reason: "no grammar, no reading", text: "DELETE public.orders", fails: "syntax error"},
		"SetRole":      {reason: "what no policy can allow is no question", text: "SELECT set_config('role', 'x', false)", fails: "set_config"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := postgres{}.ReadStatements(tc.text)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Fatalf("%s: %v, %v, want %q", tc.reason, got, err, tc.fails)
				}
				return
			}
			if err != nil || len(got) != 1 {
				t.Fatalf("%s: %v, %v", tc.reason, got, err)
			}
			if diff := cmp.Diff(tc.want, got[0].Operation.Accesses); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.properties, got[0].Operation.Properties); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}
