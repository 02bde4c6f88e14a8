// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/record"
)

// TestBindOfRelationsWithCode is promise 2 where a relation's own definition has
// the planner call a function of users: a column's default, an index, a check.
func TestBindOfRelationsWithCode(t *testing.T) {
	owner := admin(t)
	for _, text := range []string{
		"CREATE SEQUENCE public.folds",
		"CREATE FUNCTION public.folder() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN nextval(''public.folds''); END'",
		"CREATE TABLE public.defaulted (a int, n int DEFAULT public.folder())",
		"CREATE VIEW public.over_defaulted AS SELECT a, n FROM public.defaulted",
		"CREATE TABLE public.indexed (a int)", "CREATE INDEX ON public.indexed ((a + public.folder()))",
		"CREATE TABLE public.checked (a int CHECK (a > public.folder() - 1000000)) PARTITION BY LIST (a)",
		"CREATE TABLE public.checked_1 PARTITION OF public.checked FOR VALUES IN (1)",
	} {
		if _, err := owner.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := owner.Exec(context.Background(), "DROP TABLE public.defaulted, public.indexed, public.checked CASCADE; DROP FUNCTION public.folder(); DROP SEQUENCE public.folds"); err != nil {
			t.Error(err)
		}
	})
	folds := func() (n int64) {
		if err := owner.QueryRow(t.Context(), "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM public.folds").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, tc := range map[string]struct{ reason, text string }{
		"default values": {"the default of a column that is not named", "INSERT INTO public.defaulted DEFAULT VALUES"},
		"default":        {"", "INSERT INTO public.defaulted (a) VALUES (1)"},
		"update":         {"SET to DEFAULT", "UPDATE public.defaulted SET n = DEFAULT WHERE a = 1"},
		"through a view": {"", "INSERT INTO public.over_defaulted (a) VALUES (1)"},
		"index":          {"the expression of an index, of whatever is read", "SELECT * FROM public.indexed WHERE a = 1"},
		"check":          {"the check of a partition, which might exclude it", "SELECT * FROM public.checked WHERE a < 0"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := road(t)
			c := enter(t, r, s)
			c.send(query("SELECT total FROM public.orders WHERE id = 2")) // loads the catalog
			c.until(1)
			begun, events := folds(), len(r.Log.Events())
			release := r.Log.Hold()
			defer release()
			c.send(parse("", tc.text), bind("", ""), syncNow)
			<-time.After(100 * time.Millisecond) // a promise that nothing happens can only be watched
			if now := folds(); now != begun {
				t.Errorf("%s: before its record, the target ran it: %d, then %d", tc.reason, begun, now)
			}
			release()
			if got := c.until(1); !slices.Contains(got, "BindComplete") {
				t.Errorf("%s: %v", tc.reason, got)
			}
			t.Logf("the target ran it %d times when it planned", folds()-begun)
			if !slices.ContainsFunc(r.Log.Events()[events:], func(e record.Event) bool { return e.Type == record.OperationDecided }) {
				t.Errorf("%s: what the Bind has run is not on record", tc.reason)
			}
		})
	}
	// What has no such code is not decided twice.
	r, s := road(t)
	c := enter(t, r, s)
	c.send(query("SELECT total FROM public.orders WHERE id = 2"))
	c.until(1)
	events := len(r.Log.Events())
	c.send(parse("", "INSERT INTO public.secrets DEFAULT VALUES"), bind("", ""), &pgproto3.Sync{})
	c.until(1)
	if now := len(r.Log.Events()); now != events {
		t.Errorf("%d events for a Bind that runs nothing", now-events)
	}
}
