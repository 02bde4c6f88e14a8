// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

const checkedSchema = `
CREATE TABLE customers (id int PRIMARY KEY, email text);
CREATE FUNCTION leak_check(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT EXISTS (SELECT FROM public.customers WHERE email LIKE $1)';
CREATE DOMAIN prober AS text CHECK (leak_check(VALUE));
CREATE DOMAIN outer_prober AS prober; CREATE DOMAIN many AS prober[];
CREATE FUNCTION leak_default() RETURNS text LANGUAGE sql AS 'SELECT min(email) FROM public.customers';
CREATE DOMAIN filled AS text DEFAULT leak_default();
CREATE TYPE pair AS (a int, b prober); CREATE TYPE span AS RANGE (subtype = prober);
CREATE TABLE simple (id int, v prober); CREATE TABLE nested (id int, v prober[]);
CREATE DOMAIN fine AS text CHECK (VALUE ~ '^a'); CREATE TABLE used (id int, v fine);`

// TestChecklist18CheckedTypes: the check of a domain is a function of users that a
// value is handed to, whatever way the type is named.
func TestChecklist18CheckedTypes(t *testing.T) {
	t.Parallel()
	cat := database(t, "checked", checkedSchema)
	customers, _ := cat.Lookup("public", "customers")
	m := sql.NewMaskSet(cat, func(oid uint32) []sql.MaskedColumn {
		if oid == customers.OID {
			return maskedColumns("email")
		}
		return nil
	})
	for text, want := range map[string]string{
		"SELECT 'zqK%'::prober":                                            "execute cast:public.prober",
		"SELECT prober 'zqK%'":                                             "execute cast:public.prober",
		"SELECT CAST($1 AS public.prober)":                                 "execute cast:public.prober",
		"SELECT '{zqK%}'::prober[]":                                        "execute cast:public.prober",
		"SELECT '{zqK%}'::_prober":                                         "execute cast:public._prober",
		"SELECT 'zqK%'::outer_prober":                                      "execute cast:public.outer_prober",
		"SELECT '{zqK%}'::many":                                            "execute cast:public.many",
		"SELECT 'x'::filled":                                               "execute cast:public.filled",
		"SELECT '(1,zqK%)'::pair":                                          "execute cast:public.pair",
		"SELECT '[a,b]'::span":                                             "execute cast:public.span",
		"SELECT '{[a,b]}'::span_multirange":                                "execute cast:public.span_multirange",
		"SELECT jsonb_populate_record(NULL::simple, '{}')":                 "execute cast:public.simple",
		"SELECT * FROM json_to_record('{}') AS x(v prober)":                "execute cast:public.prober",
		"SELECT * FROM ROWS FROM (json_to_record('{}') AS (v prober)) x":   "execute cast:public.prober",
		"SELECT x.* FROM XMLTABLE('/r' PASSING '<r/>' COLUMNS v prober) x": "execute cast:public.prober",
		"CREATE TEMP TABLE z (v prober)":                                   "execute cast:public.prober",
		"PREPARE p (prober) AS SELECT $1":                                  "execute cast:public.prober",
		"SELECT pg_input_is_valid('zqK%', 'prober')":                       "",
		"SELECT domain_in('zqK%', 'prober'::regtype, -1)":                  "execute pg_catalog.domain_in",
		"SELECT jsonb_populate_record(s, '{}') FROM simple s":              "refused",
		"SELECT lag(v, 1, 'zqK%') OVER () FROM simple":                     "refused",
		"SELECT id FROM nested WHERE v = '{zqK%}'":                         "refused",
		"SELECT id, v FROM simple":                                         "allowed",
		"SELECT 'a'::fine, v FROM used":                                    "allowed",
		"SELECT lag(id) OVER () FROM used":                                 "allowed",
		"CREATE TEMP TABLE z (v fine)":                                     "allowed",
	} {
		all, err := sql.Analyze(text, cat, options())
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", text, err)
			}
			continue // a function that this server does not have
		}
		access := strings.Join(flat(&all[0]), ", ")
		_, err = all[0].Disclose(m)
		if executes := strings.HasPrefix(want, "execute"); executes != strings.Contains(access, "execute ") || executes && !strings.Contains(access, want) || (want == "allowed") != (err == nil) {
			t.Errorf("%q: accesses %s, under masks %v, want %s", text, access, err, want)
		}
	}
	prober := false
	for oid := range uint32(10_000) {
		prober = prober || cat.IsCheckedOID(16384+oid)
	}
	if !prober {
		t.Error("no type is found by its OID")
	}
	inner, err := sql.Analyze("PREPARE p (prober) AS SELECT $1", cat, options())
	if err != nil || inner[0].Effects.Prepared == nil {
		t.Fatal(err)
	}
	if _, err := inner[0].Effects.Prepared.Disclose(m); err == nil {
		t.Error("EXECUTE of what was prepared before there were masks: want a refusal")
	}
}
