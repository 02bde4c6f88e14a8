// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// TestCreatedFunctions: what a text or a transaction has created can be called in
// it, as an access of its own, whatever of the same name there is besides.
func TestCreatedFunctions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason, text string
		last         []string
		state        string
	}{
		"Reference": {reason: "a foreign key to what the text has made", text: "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int REFERENCES a, b int REFERENCES public.a (id))", last: []string{"create public.b", "select public.a"}},
		"Function":  {reason: "a migration in one text", text: "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT made()", last: []string{"execute public.made"}},
		"Qualified": {reason: "by its schema", text: "CREATE FUNCTION shop.made(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT shop.made(1)", last: []string{"execute shop.made"}},
		"Procedure": {reason: "CALL", text: "CREATE PROCEDURE made() LANGUAGE sql AS 'SELECT 1'; CALL made()", last: []string{"execute public.made"}},
		"Overload":  {reason: "a harmless name is no longer harmless", text: "CREATE FUNCTION public.lower(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lower(1)", last: []string{"execute public.lower"}},
		"Other":     {reason: "another name stays unknown", text: "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT unmade()", state: sql.StateUndefinedFunction},
		"Elsewhere": {reason: "a schema that is not searched", text: "CREATE FUNCTION secret.made() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT made()", state: sql.StateUndefinedFunction},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := sql.Analyze(tc.text, shopCatalog(t), options())
			if tc.state != "" {
				var unknown *sql.UnknownRelationError
				if !errors.As(err, &unknown) || unknown.Refusal.SQLSTATE != tc.state {
					t.Errorf("%s: got %v, want %s", tc.reason, err, tc.state)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			last := &all[len(all)-1]
			if diff := cmp.Diff(tc.last, flat(last)); diff != "" || last.Effects.ReadOnly {
				t.Errorf("%s: read only: %v (-want +got):\n%s", tc.reason, last.Effects.ReadOnly, diff)
			}
		})
	}
}
