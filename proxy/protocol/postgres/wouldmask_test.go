// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// TestWouldMask: masks of policies in mode Audit mask nothing, and the record says what
// they would have done; it also names the fields that an answer rests on.
func TestWouldMask(t *testing.T) {
	r, s := road(t)
	names := policy.Mask{Policy: "strict", Name: "names", Fields: []string{"public.customers.name"}, Method: policy.Method{Type: "Redact"}}
	r.Engine.Set(nil, masks[0]) // email
	r.Engine.Audit(names)
	r.Apply(t)
	conn := low(t, r, s)
	masked := &record.Would{Effect: policy.Allow, Masks: []string{"privacy/email", "strict/names"}}
	refused := &record.Would{Effect: policy.Deny, Masks: []string{"privacy/email", "strict/names"}}
	cases := []struct {
		reason, text string
		want         string // the first value
		would        *record.Would
		fields       []string
		fails        bool
	}{
		{reason: "it would have been masked", text: "SELECT name FROM customers WHERE id = 1", want: "Ann", would: masked, fields: []string{"public.customers.id", "public.customers.name"}},
		{reason: "what is in force is masked as ever", text: "SELECT email, name FROM customers WHERE id = 1", want: "[masked]", would: masked, fields: []string{"public.customers.email", "public.customers.id", "public.customers.name"}},
		{reason: "other fields", text: "SELECT total FROM orders WHERE id = 3", want: "30", fields: []string{"public.orders.id", "public.orders.total"}},
		{reason: "it would have been refused", text: "SELECT id FROM customers WHERE name = 'Ben'", want: "2", would: refused, fields: []string{"public.customers.id", "public.customers.name"}},
		{reason: "it is refused anyway", text: "SELECT id FROM customers WHERE email = 'x'", fails: true, fields: []string{"public.customers.email", "public.customers.id"}},
		{reason: "no answer", text: "BEGIN"},
		{reason: "the rows come later", text: "DECLARE c CURSOR FOR SELECT name FROM customers ORDER BY id", fields: []string{"public.customers.id", "public.customers.name"}},
		{reason: "the rows of the cursor", text: "FETCH 1 FROM c", want: "Ann", would: masked, fields: []string{"public.customers.id", "public.customers.name"}},
		{reason: "no answer", text: "COMMIT"},
		{reason: "temporary relations stay usable", text: "CREATE TEMP TABLE t AS SELECT 7 AS n"},
		{reason: "another mask is asked for meanwhile", text: "SELECT name FROM customers WHERE id = 2", want: "Ben", would: masked, fields: []string{"public.customers.id", "public.customers.name"}},
		{reason: "temporary relations stay usable; nobody knows what is in them", text: "SELECT n FROM t", want: "7", would: masked},
		{reason: "all columns", text: "SELECT * FROM customers WHERE id = 1", want: "1", would: masked, fields: []string{"public.customers.*"}},
	}
	for _, tc := range cases {
		results, err := conn.Exec(deadline(t), tc.text).ReadAll()
		if (err != nil) != tc.fails {
			t.Fatalf("%s: %s: %v", tc.reason, tc.text, err)
		}
		if err == nil && tc.want != "" && string(results[0].Rows[0][0]) != tc.want {
			t.Errorf("%s: %s: got %q, want %q", tc.reason, tc.text, results[0].Rows[0][0], tc.want)
		}
		all := r.Log.OfType(record.OperationDecided)
		last := all[len(all)-1]
		if diff := cmp.Diff(tc.would, last.Decision.Audit, cmpopts.IgnoreFields(record.Would{}, "Rules", "Cause")); diff != "" {
			t.Errorf("%s: %s: -want +got:\n%s", tc.reason, tc.text, diff)
		}
		if diff := cmp.Diff(tc.fields, last.Operation.Fields, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s: fields: -want +got:\n%s", tc.reason, tc.text, diff)
		}
	}
}

// TestNoSuchDatabase: a name that the target does not know is no failure of the way there.
// Operators learn that spec.options.databases names it, the caller how to ask.
func TestNoSuchDatabase(t *testing.T) {
	told := make(chan string, 8)
	r, s := road(t, func(c *protocoltest.Config) {
		c.Options = []byte(`{"databases":["shop","shopp"]}`)
		c.Trouble = func(refusal string, cause error) { told <- refusal + ": " + cause.Error() }
	})
	config, err := pgx.ParseConfig(dsn(t, r, s))
	if err != nil {
		t.Fatal(err)
	}
	config.Database = "shopp"
	_, err = pgx.ConnectConfig(deadline(t), config)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "3D000" || refused.Hint == "" {
		t.Errorf("connect: %v", err)
	}
	select {
	case trouble := <-told:
		if !strings.Contains(trouble, "spec.options.databases") || !strings.Contains(trouble, `"shopp"`) {
			t.Errorf("operators are told %q", trouble)
		}
	case <-time.After(30 * time.Second):
		t.Error("operators are told nothing")
	}
}
