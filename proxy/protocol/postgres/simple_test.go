// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

func TestPsql(t *testing.T) {
	r, s := road(t)
	r.Engine.Set(protocoltest.DenyAction("delete"))
	r.Apply(t)
	out, err := psql(t, dsn(t, r, s), `
SELECT name FROM public.customers ORDER BY id;
DELETE FROM public.orders;
SELECT count(*) FROM public.orders;
BEGIN;
DELETE FROM public.orders;
SELECT 1;
ROLLBACK;
SELECT 2; SELECT 3;
\q
`)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	for _, want := range []string{"Ann\nBen\nCem\n", "1000\n", "2\n3\n", "may not delete public.orders: not today"} {
		if !strings.Contains(out, want) {
			t.Errorf("psql printed no %q:\n%s", want, out)
		}
	}
	want := map[string]string{
		"SELECT name FROM public.customers ORDER BY id": "Allow",
		"DELETE FROM public.orders":                     "Deny",
		"SELECT count(*) FROM public.orders":            "Allow",
		"BEGIN":                                         "Allow",
		"SELECT 1":                                      "Allow",
		"ROLLBACK":                                      "Allow",
		"SELECT 2":                                      "Allow",
		"SELECT 3":                                      "Allow",
	}
	if diff := cmp.Diff(want, decided(r)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
