// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

func TestFields(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, text string
		want         []string
	}{
		"Named":     {"what is shown, and what it depends on", "SELECT c.email FROM customers c WHERE id = 1", []string{"public.customers.email", "public.customers.id"}},
		"Star":      {"all of it", "SELECT * FROM newsletter", []string{"public.newsletter.*"}},
		"Constant":  {"no field", "SELECT 1", []string{}},
		"Begin":     {"no answer", "BEGIN", []string{}},
		"Write":     {"an answer of no rows", "UPDATE orders SET status = 'x'", []string{}},
		"Copy":      {"", "COPY orders (id, total) TO STDOUT", []string{"public.orders.id", "public.orders.total"}},
		"Returning": {"", "DELETE FROM notes RETURNING body", []string{"public.notes.*"}},
		"Generated": {"what it is computed from is shown in another form", "SELECT email_lower FROM customers", []string{"public.customers.email", "public.customers.email_lower"}},
		"View":      {"what the view reads", "SELECT address FROM contact", []string{"public.contact.address", "public.customers.email", "public.customers.id"}},
		"Function":  {"nobody knows what it reads", "SELECT pg_read_file('x')", nil},
		"Fetch":     {"the rows of another statement", "FETCH 1 FROM c", nil},
		"System":    {"values of any column", "SELECT * FROM pg_stats", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := one(t, tc.text, options())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, s.Fields()); diff != "" {
				t.Errorf("%s: %q: -want +got:\n%s", tc.reason, tc.text, diff)
			}
		})
	}
}

// TestFieldsHoldWhatIsMasked: whatever statement shows a masked column, or is refused
// since it depends on one, names it among its fields.
func TestFieldsHoldWhatIsMasked(t *testing.T) {
	t.Parallel()
	m := maskSet(t)
	masked := map[string]bool{}
	cat := shopCatalog(t)
	for rel := range cat.Relations() {
		for _, c := range masks(t)(rel.OID) {
			masked[rel.String()+"."+c.Name] = true
		}
	}
	touches := func(fields []string) bool {
		return fields == nil || slices.ContainsFunc(fields, func(f string) bool {
			for name := range masked {
				if policy.Overlap(f, name) {
					return true
				}
			}
			return false
		})
	}
	checked := 0
	for _, text := range slices.Concat(allMasked, evasions, honest) {
		s, err := one(t, text, options())
		if err != nil {
			continue
		}
		d, err := s.Disclose(m)
		if err == nil && d.Clear() || writes(s) {
			continue
		}
		checked++
		if !touches(s.Fields()) {
			t.Errorf("%q: shows or depends on masked columns (%v), and the fields are %s", text, err, strings.Join(s.Fields(), " "))
		}
	}
	if checked < 50 {
		t.Errorf("only %d statements were looked at", checked)
	}
}

// allMasked are the statements that show masked columns.
var allMasked = masked

// writes says that a statement may be refused for what it writes, or defines, rather
// than for its answer.
func writes(s *sql.Statement) bool { return !s.Effects.ReadOnly && !s.Effects.CopyOut }
