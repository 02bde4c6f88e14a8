// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"testing"
)

// TestSessionsShareNothing is checklist 17: each session has a connection of its
// own to the target, so that what one leaves there another never finds. Nothing is
// pooled.
func TestSessionsShareNothing(t *testing.T) {
	r, s := road(t)
	ctx := deadline(t)
	one := low(t, r, s)
	for _, text := range []string{
		"SET work_mem = '3MB'", "CREATE TEMP TABLE left_behind (id int)", "PREPARE left_behind AS SELECT 1",
		"SELECT pg_advisory_lock(4711)", "SELECT set_config('my.own', 'left behind', false)", "BEGIN", "DECLARE left_behind CURSOR FOR SELECT 1",
	} {
		if _, err := one.Exec(ctx, text).ReadAll(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	two := low(t, r, s)
	for text, want := range map[string]string{
		"SHOW work_mem": "4MB",
		"SELECT count(*) FROM pg_prepared_statements WHERE name = 'left_behind'":               "0",
		"SELECT count(*) FROM pg_cursors":                                                      "0",
		"SELECT to_regclass('pg_temp.left_behind') IS NULL":                                    "t",
		"SELECT coalesce(current_setting('my.own', true), '')":                                 "",
		"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()": "0",
	} {
		got, err := two.Exec(ctx, text).ReadAll()
		if err != nil || string(got[0].Rows[0][0]) != want {
			t.Errorf("%s: %v, want %q, error %v", text, got, want, err)
		}
	}
	for _, text := range []string{"EXECUTE left_behind", "FETCH 1 FROM left_behind", "SELECT * FROM pg_temp.left_behind"} {
		if _, err := two.Exec(ctx, text).ReadAll(); err == nil {
			t.Errorf("%s found what another session left", text)
		}
	}
}
