// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// TestChangedWhileHeld is checklist 33 for what the names of a statement stand
// for: an approval is for what was shown, not for what a view has become since.
func TestChangedWhileHeld(t *testing.T) {
	const call = "SELECT n FROM public.held_view, public.approved()"
	for name, tc := range map[string]struct{ reason, change, want string }{
		"the view":       {"it reads another table now", "CREATE OR REPLACE VIEW public.held_view AS SELECT id AS n FROM public.secrets", "notice 01000, ERROR 42501, ready I"},
		"something else": {"a change of the catalog alone voids nothing", "CREATE TABLE public.unrelated (id int)", "notice 01000, row 7, done SELECT 1, ready I"},
		"nothing":        {"", "SELECT 1", "notice 01000, row 7, done SELECT 1, ready I"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := road(t)
			past(t, "CREATE VIEW public.held_view AS SELECT 7 AS n; CREATE FUNCTION public.approved() RETURNS int LANGUAGE sql AS 'SELECT 1'")
			t.Cleanup(func() {
				past(t, "DROP VIEW public.held_view; DROP FUNCTION public.approved(); DROP TABLE IF EXISTS public.unrelated")
			})
			r.Engine.Set(protocoltest.HoldAction("execute"))
			r.Apply(t)
			c := enter(t, r, s)
			c.send(query(call))
			pending := <-r.Approvals.Asked
			// Through the proxy, so that it looks at the catalog again.
			if _, err := client(t, r, s).Exec(deadline(t), tc.change); err != nil {
				t.Fatal(err)
			}
			pending.Approve()
			if diff := cmp.Diff(tc.want, results(c.until(1))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
