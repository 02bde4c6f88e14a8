// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// statementsEnvironment is the number of random statements to make, for long
// runs; seedEnvironment is where they begin.
const (
	statementsEnvironment = "DOORWARD_INTERFERENCE_STATEMENTS"
	seedEnvironment       = "DOORWARD_INTERFERENCE_SEED"
)

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s is not a number: %q", name, text)
	}
	return n
}

// TestMaskedValuesDoNotInterfere is the proof of what Disclose accepts under
// masks that deny predicates (checklist 18). Random statements run on two
// databases that differ in masked values only: unmasked output columns, the
// number and order of rows, the error, and what is stored afterwards have to be
// the same.
func TestMaskedValuesDoNotInterfere(t *testing.T) {
	here, there := deepDatabase(t, "deep", deepRows), deepDatabase(t, "deep_twin", deepTwinRows)
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Hour)
	defer cancel()
	cat, err := catalog.Load(ctx, querier(here))
	if err != nil {
		t.Fatal(err)
	}
	m := sql.NewMaskSet(cat, func(oid uint32) []sql.MaskedColumn {
		r, ok := cat.Relation(oid)
		if !ok || r.Schema != "public" {
			return nil
		}
		out := maskedColumns(deepMasks[r.Name]...)
		for i := range out {
			out[i].Derived = true
		}
		return out
	})
	plain := plainValues(ctx, t, here, cat)
	seed := number(t, seedEnvironment, 1)
	g := &deep{r: rand.New(rand.NewPCG(uint64(seed), 2))}
	made, accepted, valid, failed := number(t, statementsEnvironment, 4000), 0, 0, 0
	for range made {
		text := g.statement()
		all, err := sql.Analyze(text, cat, options())
		if err != nil || len(all) != 1 || !all[0].TouchesMasked(m) {
			continue
		}
		d, err := all[0].Disclose(m)
		if err != nil {
			continue
		}
		accepted++
		x, ran := observe(ctx, here, d, plain, text)
		y, _ := observe(ctx, there, d, nil, text)
		if ran {
			valid++
		}
		if strings.HasPrefix(x, "57014") || strings.HasPrefix(y, "57014") {
			continue // it takes too long to compare
		}
		if strings.Contains(x, notPlain) {
			failed++
			t.Errorf("%s\n%s", text, x)
		}
		if x != y {
			failed++
			t.Errorf("%s\nmasked values make a difference:\n%s---\n%s", text, x, y)
		}
		if failed > 20 {
			t.Fatal("too many")
		}
	}
	t.Logf("%d statements made, %d accepted, %d of them run to the end", made, accepted, valid)
	if accepted < made/20 || valid < accepted/4 {
		t.Error("the generator tests nothing")
	}
}

// deepDatabase makes a database and connects to it.
func deepDatabase(t *testing.T, name, rows string) *pgconn.PgConn {
	t.Helper()
	main := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := main.Exec(ctx, "CREATE DATABASE "+name).ReadAll(); err != nil {
		t.Fatal(err)
	}
	dsn, _ := server()
	conn := connectTo(t, strings.Replace(dsn, "dbname=postgres", "dbname="+name, 1))
	setup := "SET client_min_messages = error; " + deepSchema + rows + "; SET statement_timeout = '2s'; SET max_parallel_workers_per_gather = 0; SET jit = off"
	if _, err := conn.Exec(ctx, setup).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// notPlain marks a value of a plain column that its source does not have.
const notPlain = "not a value of the column that it is said to be: "

// plainValues are the values of each masked column.
func plainValues(ctx context.Context, t *testing.T, conn *pgconn.PgConn, cat *catalog.Catalog) map[sql.MaskSource][]string {
	t.Helper()
	out := map[sql.MaskSource][]string{}
	for table, columns := range deepMasks {
		r, _ := cat.Lookup("public", table)
		for _, c := range columns {
			results, err := conn.Exec(ctx, "SELECT "+c+" FROM "+table).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			// What the statements themselves write.
			values := []string{"mine", "own", "5", "1"}
			for _, row := range results[0].Rows {
				values = append(values, string(row[0]))
			}
			out[sql.MaskSource{Relation: r.OID, Column: c}] = values
		}
	}
	return out
}

// stored is what a caller could read afterwards of unmasked columns.
const stored = `SELECT (SELECT string_agg(concat_ws('|', id, name, grp), ',' ORDER BY id) FROM a),
 (SELECT string_agg(b::text, ',' ORDER BY id) FROM b), (SELECT string_agg(concat_ws('|', id, region), ',' ORDER BY id) FROM p)`

// observe runs a statement in a transaction that is undone, and writes down what
// the caller sees of it. ran is false where the server refused it. Values of
// plain columns have to be among those of their source, where these are given.
func observe(ctx context.Context, conn *pgconn.PgConn, d *sql.Disclosure, plain map[sql.MaskSource][]string, text string) (seen string, ran bool) {
	exec := func(text string) ([]*pgconn.Result, error) { return conn.Exec(ctx, text).ReadAll() }
	if _, err := exec("BEGIN"); err != nil {
		return "cannot begin: " + err.Error(), false
	}
	defer func() { _, _ = exec("ROLLBACK") }()
	results, err := exec(text)
	if err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			return refused.Code, false
		}
		return err.Error(), false
	}
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintln(&b, r.CommandTag)
		outputs, err := d.Columns(len(r.FieldDescriptions))
		if err != nil && len(r.FieldDescriptions) > 0 {
			return "columns differ from what was found: " + fmt.Sprint(len(r.FieldDescriptions), time.Now()), true
		}
		for _, row := range r.Rows {
			for i, o := range outputs {
				if o.Kind == sql.Clear {
					fmt.Fprintf(&b, "%v%q", row[i] == nil, row[i])
				}
				if o.Kind == sql.Plain && plain != nil && row[i] != nil && !slices.Contains(plain[o.Source], string(row[i])) {
					return notPlain + string(row[i]), true
				}
			}
			b.WriteByte('\n')
		}
	}
	after, err := exec(stored)
	if err != nil {
		return b.String() + err.Error(), true
	}
	fmt.Fprintf(&b, "%q\n", after[0].Rows[0])
	return b.String(), true
}
