// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/pgtest"
)

// database is the one that is attacked, plain the same without what is there for
// the attacks only.
const database, plain = "shop", "books"

// twin is one of two servers that differ in their masked values only.
type twin struct {
	*pgtest.Server
	values values
}

// values are what the twins differ in.
type values struct{ tag, tag6, tag8, number, date, octet, grade string }

var twins = [2]*twin{
	{values: values{tag: "Kwyjibo", tag6: "417263", tag8: "c0ffee77", number: "73519264", date: "1871-03-14", octet: "211", grade: "silver"}},
	{values: values{tag: "Humbugged", tag6: "853917", tag8: "facade99", number: "91827", date: "1902-11-30", octet: "93", grade: "gold"}},
}

//go:embed testdata/setup.sql
var setup string

//go:embed testdata/hostile.sql
var hostile string

func (v values) fill(text string) string {
	return strings.NewReplacer("{tag}", v.tag, "{tag6}", v.tag6, "{tag8}", v.tag8, "{number}", v.number, "{date}", v.date,
		"{octet}", v.octet, "{grade}", v.grade).Replace(text)
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	failed := make(chan error)
	for _, t := range twins {
		go func() { failed <- t.start(context.Background()) }()
	}
	err := errors.Join(<-failed, <-failed)
	code := 1
	if err == nil {
		code = m.Run()
	}
	for _, t := range twins {
		if t.Server != nil {
			err = errors.Join(err, t.Stop())
		}
	}
	if err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func (w *twin) start(ctx context.Context) (err error) {
	w.Server, err = pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{
		"autovacuum": "off", "wal_level": "logical", "log_min_error_statement": "panic", "shared_preload_libraries": "pg_stat_statements",
	}})
	if err != nil {
		return err
	}
	return errors.Join(
		w.Exec(ctx, "CREATE DATABASE "+database, "CREATE DATABASE "+plain, "SELECT pg_create_logical_replication_slot('spy', 'test_decoding')"),
		w.exec(ctx, database, "CREATE EXTENSION pg_stat_statements;"+w.values.fill(setup+hostile)),
		w.exec(ctx, plain, w.values.fill(setup)),
	)
}

// everything is allowed, also what is unknown.
func everything(masks ...policy.Mask) []policy.Policy {
	return []policy.Policy{{
		Name: "everything", UID: "uid-everything", Generation: 1, Subjects: subjects(), Masks: masks,
		Rules: []policy.Rule{{Name: "all", Effect: policy.Allow, Actions: []string{"*", sql.ActionUnknown}, Resources: []string{"*"}}},
	}}
}

func subjects() []policy.Subject { return []policy.Subject{{Kind: "User", Name: gateway.UserName}} }

// masks are on customers and its like, with what they allow.
func masks(derived, predicates string) []policy.Mask {
	customers := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, "public.customers."+n)
		}
		return out
	}
	all := []policy.Mask{
		{
			Name: "addresses", Fields: append(customers("email", "second", "code"), "public.people.email", `public.Odd "name.E-mail`, "public.big.secret"),
			Method: policy.Method{Type: policy.Redact},
		},
		{Name: "cards", Fields: customers("card"), Method: policy.Method{Type: policy.KeepLast, KeepLast: 4}},
		{Name: "phones", Fields: customers("phone"), Method: policy.Method{Type: policy.Null}},
		{Name: "others", Fields: append(customers("salary", "score", "balance", "born", "seen", "token", "ip", "profile", "raw", "doc", "tags", "picture", "active", "tier"),
			"public.staff.wage", "public.documents.*", "public.composites.p"), Method: policy.Method{Type: policy.Redact}},
	}
	for i := range all {
		all[i].Policy, all[i].Derived, all[i].Predicates = "everything", derived, predicates
	}
	return all
}

// gate serves a twin under policies.
func (w *twin) gate(t *testing.T, policies []policy.Policy) *gateway.Gateway {
	t.Helper()
	config := gateway.Postgres(w.Server, database, plain)
	config.Policies = policies
	g, err := gateway.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}
