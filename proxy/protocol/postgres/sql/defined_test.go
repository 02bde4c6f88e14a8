// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// TestDefinedFunctions is checklist 12: no function runs under another name than
// the ones that were decided, neither by what names it nor by what the catalog
// snapshot does not show.
func TestDefinedFunctions(t *testing.T) {
	t.Parallel()
	made := "CREATE FUNCTION public.made(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'; "
	tests := map[string]struct {
		reason, text string
		last         []string
		state        string
	}{
		"Aggregate": {
			reason: "its functions run whenever it is called", text: "CREATE AGGREGATE public.peek(text) (sfunc = textcat, stype = text, finalfunc = pg_read_file)",
			last: []string{"create aggregate:public.peek", "execute pg_catalog.pg_read_file"},
		},
		"Aggregate, quoted": {
			reason: "the server takes a constant for a name", text: "CREATE AGGREGATE pg_temp.peek(text) (sfunc = textcat, stype = text, finalfunc = 'pg_read_file')",
			last: []string{"create aggregate:pg_temp.peek", "execute pg_catalog.pg_read_file"},
		},
		"Aggregate of harmless ones": {reason: "nothing else to decide", text: "CREATE AGGREGATE public.adds(int) (sfunc = int4pl, stype = int)", last: []string{"create aggregate:public.adds"}},
		"Aggregate of set_config": {
			reason: "SELECT pg_temp.lift('none', false) would leave the role", text: "CREATE AGGREGATE pg_temp.lift(text, bool) (sfunc = set_config, stype = text, initcond = 'role')",
			state: sql.StateInsufficientPrivilege,
		},
		"Operator": {
			reason: "an operator of one argument reads a file", text: "CREATE OPERATOR pg_temp.@@@ (FUNCTION = pg_catalog.pg_read_file, RIGHTARG = text)",
			last: []string{"create operator:pg_temp.@@@", "execute pg_catalog.pg_read_file"},
		},
		"Temporary operator": {reason: "no snapshot shows it", text: "SELECT 1 OPERATOR(pg_temp.===) 1", last: []string{"execute operator:pg_temp.==="}},
		"Temporary cast":     {reason: "", text: "SELECT 1::pg_temp.t", last: []string{"execute cast:pg_temp.t"}},
		"Operator made within": {
			reason: "not yet in the snapshot", text: made + "CREATE OPERATOR public.=== (FUNCTION = public.made, LEFTARG = int, RIGHTARG = int); SELECT 1 === 1",
			last: []string{"execute operator:public.==="},
		},
		"Cast made within": {
			reason: "", text: "CREATE TYPE public.made AS (a int); CREATE CAST (int AS public.made) WITH INOUT; SELECT 1::made",
			last: []string{"execute cast:public.made"},
		},
		"Attribute made within": {
			reason: "a function of a row reads like a column", text: "CREATE FUNCTION public.made(customers) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT c.made FROM customers c",
			last: []string{"execute public.made", "select public.customers"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := sql.Analyze(tc.text, shopCatalog(t), options())
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			last := &all[len(all)-1]
			if tc.state != "" {
				if last.Refusal == nil || last.Refusal.SQLSTATE != tc.state {
					t.Errorf("%s: got %v, want %s", tc.reason, last.Refusal, tc.state)
				}
				return
			}
			got := []string{}
			for _, x := range last.Accesses {
				got = append(got, x.Action+" "+x.Resource)
			}
			if diff := cmp.Diff(tc.last, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
