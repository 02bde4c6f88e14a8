// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// TestPathWithinOneText is checklist 10: what a text does to its own search path
// holds for what follows in it, or what follows is refused.
func TestPathWithinOneText(t *testing.T) {
	t.Parallel()
	cat := shopCatalog(t)
	for name, tc := range map[string]struct {
		reason, text string
		unsettled    bool
		want, state  string
	}{
		"Set":          {"", "SET search_path = other; SELECT * FROM orders", false, "set search_path, select other.orders", ""},
		"SetTwice":     {"the last one counts", "SET search_path = other; SET search_path = public; SELECT * FROM orders", false, "set search_path, set search_path, select public.orders", ""},
		"Pathless":     {"what names nothing needs no path", "SET search_path = other; COMMIT; SHOW work_mem", false, "set search_path, transaction, show work_mem", ""},
		"Ended":        {"what COMMIT brings back cannot be told", "SET LOCAL search_path = other; COMMIT; SELECT * FROM orders", false, "", sql.StateFeatureNotSupported},
		"EndedEarlier": {"", "COMMIT; SELECT * FROM orders", true, "", sql.StateFeatureNotSupported},
		"Ends":         {"nothing was changed", "COMMIT; SELECT * FROM orders", false, "transaction, select public.orders", ""},
		"Savepoint":    {"", "SET search_path = other; ROLLBACK TO a; SELECT * FROM orders", false, "", sql.StateFeatureNotSupported},
		"Reset":        {"", "RESET search_path; SELECT * FROM orders", false, "", sql.StateFeatureNotSupported},
		"SetConfig":    {"", "SELECT set_config('search_path', 'other', false); SELECT * FROM orders", false, "", sql.StateFeatureNotSupported},
		"Role":         {"$user may be another", "RESET ROLE; SELECT * FROM orders", false, "", sql.StateFeatureNotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := options()
			opt.Unsettled = tc.unsettled
			opt.PathAfter = func(names []string) ([]string, error) { return names, nil }
			all, err := sql.Analyze(tc.text, cat, opt)
			var refusal *sql.Error
			if tc.state != "" {
				if !errors.As(err, &refusal) || refusal.SQLSTATE != tc.state {
					t.Fatalf("%s: %v, want a refusal", tc.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range all {
				got = append(got, flat(&all[i])...)
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
	if _, err := sql.Analyze("SET search_path = other; SELECT * FROM orders", cat, options()); err == nil {
		t.Error("nobody can tell the path, and names were resolved")
	}
}

func TestPathless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "BEGIN": true, "SET a.b = c; SHOW a.b; ROLLBACK": true, "FETCH 1 FROM c; CLOSE c": true, "DISCARD ALL": true,
		"SELECT 1": false, "BEGIN; SELECT 1": false, "EXECUTE p": false, "SELEC": false, "CALL f()": false, "\x00": false,
	} {
		if got := sql.Pathless(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestBehindNewViews: a view that the session has made, and the catalog does not
// show yet, tells what it reads all the same.
func TestBehindNewViews(t *testing.T) {
	t.Parallel()
	cat := shopCatalog(t)
	made, err := sql.Analyze("CREATE TEMP VIEW v AS SELECT id, pure(id) FROM contact", cat, options())
	if err != nil {
		t.Fatal(err)
	}
	opt := options()
	opt.TempRelations = func(name string) bool { return name == "v" }
	opt.Behind = func(resource string) []sql.Access {
		if resource == "pg_temp.v" {
			return made[0].Effects.Behind
		}
		return nil
	}
	for text, want := range map[string]string{
		"SELECT * FROM v": "indirect execute public.pure, select pg_temp.v, indirect select public.contact, indirect select public.customers",
		"DELETE FROM v WHERE id = 1": "delete pg_temp.v, indirect delete public.contact, indirect delete public.customers, " +
			"indirect execute public.pure, indirect select public.contact, indirect select public.customers",
	} {
		s, err := one(t, text, opt)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, strings.Join(flat(s), ", ")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", text, diff)
		}
	}
}

// TestMessageLevel is checklist 12: as at the session's start, what the server logs
// of its own doings does not come with the answer.
func TestMessageLevel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"SET client_min_messages = notice": true, "SET client_min_messages = 'WARNING'": true, "SET LOCAL client_min_messages TO error": true,
		"RESET client_min_messages": true, "SET client_min_messages TO DEFAULT": true,
		"SET client_min_messages = log": false, "SET client_min_messages = debug": false, "SET client_min_messages = debug5": false,
		"SELECT set_config('client_min_messages', 'debug1', false)": false, "SELECT set_config('client_min_messages', name, false) FROM users": false,
	} {
		s, err := one(t, text, options())
		if passes := err == nil && s.Refusal == nil; passes != want {
			t.Errorf("%q: passes %v (%v), want %v", text, passes, err, want)
		}
	}
}
