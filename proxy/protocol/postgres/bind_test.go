// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/record"
)

// TestBindWaitsForItsRecord is promise 2 where a Bind alone runs something: the
// target plans the statement, which calls functions that count as immutable,
// and checks parameters by their domains. No Execute needs to follow.
func TestBindWaitsForItsRecord(t *testing.T) {
	if err := server.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	owner := admin(t)
	for _, text := range []string{
		"CREATE SEQUENCE IF NOT EXISTS public.planned",
		"CREATE OR REPLACE FUNCTION public.liar() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN nextval(''public.planned''); END'",
		"DROP DOMAIN IF EXISTS public.counted", "CREATE DOMAIN public.counted AS int CHECK (nextval('public.planned') > 0)",
	} {
		if _, err := owner.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing overlaps in a database with such a domain.
	t.Cleanup(func() {
		if _, err := owner.Exec(context.Background(), "DROP DOMAIN public.counted"); err != nil {
			t.Error(err)
		}
	})
	planned := func() (n int64) {
		if err := owner.QueryRow(t.Context(), "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM public.planned").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	tests := map[string]struct {
		reason, text string
		bind         *pgproto3.Bind
		execute      bool
		records      []string
	}{
		"Function": {"planning calls it", "SELECT public.liar()", bind("", ""), false, []string{"decided", "Canceled"}},
		"Domain": {
			"the check of a parameter calls it", "SELECT $1::public.counted",
			&pgproto3.Bind{Parameters: [][]byte{[]byte("7")}}, false,
			[]string{"decided", "Canceled"},
		},
		"Executed": {"what was decided for the Bind holds for its Execute", "SELECT public.liar()", bind("", ""), true, []string{"decided", "Succeeded"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, s := road(t)
			c := enter(t, r, s)
			c.send(query("SELECT total FROM public.orders WHERE id = 2")) // loads the catalog
			c.until(1)
			begun, events := planned(), len(r.Log.Events())
			release := r.Log.Hold()
			defer release()
			messages := []pgproto3.FrontendMessage{parse("", tc.text), tc.bind}
			if tc.execute {
				messages = append(messages, execute(""))
			}
			c.send(append(messages, syncNow)...)
			<-time.After(100 * time.Millisecond) // a promise that nothing happens can only be watched
			if now := planned(); now != begun {
				t.Errorf("%s: before its record, the target ran it: %d, then %d", tc.reason, begun, now)
			}
			release()
			if got := c.until(1); !slices.Contains(got, "BindComplete") {
				t.Errorf("%s: %v", tc.reason, got)
			}
			if now := planned(); now == begun {
				t.Errorf("%s: the target ran nothing", tc.reason)
			}
			var got []string
			for _, e := range r.Log.Events()[events:] {
				switch e.Type {
				case record.OperationDecided:
					got = append(got, "decided")
				case record.OperationResult:
					got = append(got, e.Result.Outcome)
				default:
					got = append(got, fmt.Sprint(e.Type))
				}
			}
			if diff := cmp.Diff(tc.records, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
