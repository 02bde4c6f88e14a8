// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/policy"
)

// ways to mask a value, as a query's columns are named.
const (
	byRedact  = "redact"
	byCard    = "card"
	byNull    = "null"
	byJSON    = "json"
	whole     = "derived"
	wholeNull = "derivednull"
	wholeJSON = "derivedjson"
)

// maskedAs says how columns of these names are masked, where a case says nothing
// else of them.
var maskedAs = map[string]string{
	"email": byRedact, "second": byRedact, "code": byRedact, "E-mail": byRedact, "secret": byRedact, "card": byCard, "phone": byNull, "email_lower": whole,
	"salary": byNull, "score": byNull, "balance": byNull, "born": byNull, "seen": byNull, "token": byNull, "ip": byNull, "profile": byJSON, "raw": byJSON,
	"doc": byNull, "tags": byNull, "picture": byNull, "active": byNull, "tier": byNull, "wage": byNull,
}

// TestHonest: what analysts and their tools ask is never refused, and the answer
// is the direct connection's with masked columns replaced.
func TestHonest(t *testing.T) {
	files := load(t, "honest")
	atLeast(t, files, minHonest)
	w := twins[0]
	proxied, direct := w.gate(t, everything(masks(policy.MaskDerived, "")...)).DSN(plain), w.DSN("postgres", w.Password, plain)
	for file, cases := range files {
		if file == viaPsql {
			t.Run(file, func(t *testing.T) {
				psql := filepath.Join(w.BinDir, "psql")
				want, err := attempt(t.Context(), direct, viaPsql, psql, cases)
				if err != nil {
					t.Fatal(err)
				}
				got, err := attempt(t.Context(), proxied, viaPsql, psql, cases)
				if err != nil {
					t.Fatal(err)
				}
				for i, c := range cases {
					if diff := cmp.Diff(string(want[i]), string(got[i])); diff != "" {
						t.Errorf("%s (-direct +proxied):\n%s", c.at(), diff)
					}
				}
			})
			continue
		}
		for _, client := range []string{viaSimple, viaText} {
			t.Run(file+"/"+client, func(t *testing.T) {
				for _, c := range cases {
					if client == viaText && strings.Count(strings.Join(c.statements, ""), ";") > len(c.statements) {
						continue // several statements in one text
					}
					want, got := honestly(t, direct, client, c), honestly(t, proxied, client, c)
					for i := range want {
						if c.differs {
							want[i].forget()
							got[i].forget()
						} else {
							c.mask(&want[i])
						}
					}
					if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
						t.Errorf("%s (-direct +proxied):\n%s", c.at(), diff)
					}
				}
			})
		}
	}
}

// answer is what one statement brought.
type answer struct {
	columns []string
	rows    [][]string
	copied  string
	tag     string
	code    string
}

// forget leaves out what differs from one time to the next: the rows, and how many.
func (a *answer) forget() { a.rows, a.tag = nil, strings.TrimRight(a.tag, " 0123456789") }

// honestly runs one case in a session of its own.
func honestly(t *testing.T, dsn, client string, c case1) (out []answer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), caseBound)
	defer cancel()
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, s := range c.statements {
		var results []*pgconn.Result
		switch {
		case strings.HasPrefix(s, "COPY "):
			var data bytes.Buffer
			tag, err := conn.CopyTo(ctx, &data, s)
			out = append(out, answer{copied: data.String(), tag: tag.String(), code: codeOf(err)})
			continue
		case client == viaSimple:
			var err error
			if results, err = conn.Exec(ctx, s).ReadAll(); err != nil {
				results = append(results, &pgconn.Result{Err: err})
			}
		default:
			results = []*pgconn.Result{conn.ExecParams(ctx, s, nil, nil, nil, nil).Read()}
		}
		for _, r := range results {
			out = append(out, answerOf(r))
		}
	}
	return out
}

func answerOf(r *pgconn.Result) answer {
	a := answer{tag: r.CommandTag.String(), code: codeOf(r.Err)}
	for _, f := range r.FieldDescriptions {
		a.columns = append(a.columns, f.Name)
	}
	for _, row := range r.Rows {
		var values []string
		for _, v := range row {
			if v == nil {
				values = append(values, absent)
				continue
			}
			values = append(values, string(v))
		}
		a.rows = append(a.rows, values)
	}
	return a
}

// absent is how NULL is written here.
const absent = "NULL"

func codeOf(err error) string {
	var failure *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failure):
		return fmt.Sprint(failure.Code, " ", failure.Message)
	default:
		return err.Error()
	}
}

// mask replaces what is masked for the caller.
func (c case1) mask(a *answer) {
	for n, name := range a.columns {
		for _, row := range a.rows {
			row[n] = masked(c.way(name), row[n])
		}
	}
	if len(c.copied) == 0 {
		return
	}
	lines := strings.Split(strings.TrimSuffix(a.copied, "\n"), "\n")
	for i, line := range lines {
		fields := strings.Split(line, "\t")
		for n, name := range c.copied {
			if fields[n] == `\N` {
				fields[n] = absent
			}
			if fields[n] = masked(c.way(name), fields[n]); fields[n] == absent {
				fields[n] = `\N`
			}
		}
		lines[i] = strings.Join(fields, "\t")
	}
	a.copied = strings.Join(lines, "\n") + "\n"
}

func (c case1) way(column string) string {
	if way, said := c.masked[column]; said {
		if other, known := maskedAs[way]; known {
			return other
		}
		return way
	}
	return maskedAs[column]
}

func masked(way, value string) string {
	switch {
	case way == whole:
		return "[masked]"
	case way == wholeJSON:
		return absent
	case way == wholeNull, way == byNull:
		return absent
	case value == absent:
		return absent
	case way == byRedact:
		return "[masked]"
	case way == byJSON:
		return `"[masked]"`
	case way == byCard:
		return strings.Repeat("*", len(value)-4) + value[len(value)-4:]
	}
	return value
}
