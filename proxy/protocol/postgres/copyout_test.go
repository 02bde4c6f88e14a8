// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// peopled makes public.people, whose values are hard to write as copy data, and a
// road on which word is redacted, tail shows its last two characters, and n is hashed.
func peopled(t *testing.T) (*protocoltest.Road, *protocoltest.Server, *pgconn.PgConn) {
	t.Helper()
	direct, err := pgx.Connect(deadline(t), server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = direct.Exec(t.Context(), "DROP TABLE public.people")
		_ = direct.Close(t.Context())
	})
	if _, err := direct.Exec(deadline(t), `
		DROP TABLE IF EXISTS public.people;
		CREATE TABLE public.people (id int PRIMARY KEY, word text, tail varchar(80), n int, other text);
		INSERT INTO public.people VALUES
			(1, 'secret', 'long enough', 7, 'plain'),
			(2, '', '', 0, ''),
			(3, NULL, NULL, NULL, NULL),
			(4, E'secret\nline', E'tail ends with a tab\t\t', -3, E'a\tb\nc\rd\\e\bf\fg\vh'),
			(5, 'secret "quoted"', 'tail ends with quotes""', 5, 'say "hi", they''d | said; 100%'),
			(6, 'secret,comma', E'tail ends with newline\n\n', 6, '\N'),
			(7, E'secret\\', E'tail ends with backslashes\\\\', 8, '\.'),
			(8, 'NULL', 'tail ends with pipes||', 9, 'NULL'),
			(9, 'größe secret', 'tail ends with ßü', 10, 'ñ漢字😀'),
			(10, '\.', 'tail ends with ;;', 11, ' lead and trail '),
			(11, E'secret\r\n', 'ta', 12, E'\x01\x1f');`); err != nil {
		t.Fatal(err)
	}
	r, s := road(t)
	field := func(name, column string, m policy.Method) policy.Mask {
		return policy.Mask{Policy: "p", Name: name, Fields: []string{"public.people." + column}, Method: m, Derived: policy.MaskDerived}
	}
	r.Engine.Set(nil, field("word", "word", policy.Method{Type: policy.Redact}), field("tail", "tail", policy.Method{Type: policy.KeepLast, KeepLast: 2}),
		field("n", "n", policy.Method{Type: policy.Redact}))
	r.Apply(t)
	return r, s, direct.PgConn()
}

// TestCopyMasked: COPY of masked columns is to the byte what the server would send
// for the masked values, in every format and with every option (checklist 18).
func TestCopyMasked(t *testing.T) {
	r, s, direct := peopled(t)
	through := client(t, r, s).PgConn()
	const masked = `SELECT id, CASE WHEN word IS NOT NULL THEN '[masked]' END AS word,
		CASE WHEN length(tail) <= 4 THEN '[masked]' ELSE repeat('*', length(tail) - 2) || right(tail, 2) END AS tail, NULL::int AS n, other FROM public.people`
	for name, options := range map[string]string{
		"Text":             "",
		"TextDelimiter":    "(DELIMITER '|')",
		"TextSemicolon":    "(DELIMITER ';')",
		"TextHeader":       "(FORMAT text, HEADER)",
		"TextNull":         `(NULL '\?')`,
		"Old":              `WITH DELIMITER '|' NULL '\N'`,
		"CSV":              "(FORMAT csv)",
		"CSVOld":           "CSV HEADER",
		"CSVHeader":        "(FORMAT csv, HEADER true)",
		"CSVNoHeader":      "(FORMAT csv, HEADER off)",
		"CSVNoHeaderEvenI": "(FORMAT csv, HEADER 0)",
		"CSVDelimiter":     "(FORMAT csv, DELIMITER '|')",
		"CSVNull":          "(FORMAT csv, NULL 'NULL')",
		"CSVNullDash":      "(FORMAT csv, NULL '-')",
		"CSVQuote":         `(FORMAT csv, QUOTE '''')`,
		"CSVEscape":        `(FORMAT csv, ESCAPE '\')`,
		"CSVBoth":          `(FORMAT csv, QUOTE '|', ESCAPE '"', DELIMITER ';')`,
		"CSVForceAll":      "(FORMAT csv, FORCE_QUOTE *)",
		"CSVForce":         "(FORMAT csv, FORCE_QUOTE (word, other))",
		"CSVTab":           `(FORMAT csv, DELIMITER E'\t', HEADER, NULL '\N')`,
		"UTF8":             "(FORMAT csv, ENCODING 'UTF-8')",
		"Binary":           "(FORMAT binary)",
		"BinaryOld":        "WITH BINARY",
	} {
		t.Run(name, func(t *testing.T) {
			var want bytes.Buffer
			if _, err := direct.CopyTo(deadline(t), &want, "COPY ("+masked+" ORDER BY id) TO STDOUT "+options); err != nil {
				t.Fatal(err)
			}
			for _, source := range []string{"public.people", "public.people (id, word, tail, n, other)", "(SELECT * FROM public.people ORDER BY id)", "(SELECT id, word AS w, tail, n, other FROM public.people AS p ORDER BY p.id)"} {
				expected := want.String()
				if strings.Contains(source, " AS w") {
					if strings.Contains(options, "word") {
						continue // the column has another name
					}
					expected = strings.Replace(expected, "id,word,", "id,w,", 1)
					expected = strings.Replace(expected, "id\tword\t", "id\tw\t", 1)
				}
				var got bytes.Buffer
				tag, err := through.CopyTo(deadline(t), &got, "COPY "+source+" TO STDOUT "+options)
				if err != nil {
					t.Fatalf("%s: %v", source, err)
				}
				if got.String() != expected {
					t.Errorf("%s:\n got %q\nwant %q", source, got.String(), expected)
				}
				if tag.RowsAffected() != 11 {
					t.Errorf("%s: %s", source, tag)
				}
			}
		})
	}
	for _, e := range r.Log.OfType(record.OperationResult) {
		if e.Result.Rows == 11 && (len(e.Result.MaskedFields) != 3 || e.Result.MaskedValues < 20) {
			t.Errorf("on record: %+v", e.Result)
		}
	}
}

// TestCopyMaskedRefused: options under which values could be told apart, or not be
// read, are refused before anything is forwarded.
func TestCopyMaskedRefused(t *testing.T) {
	r, s, _ := peopled(t)
	through := client(t, r, s).PgConn()
	for text, reason := range map[string]string{
		"COPY public.people TO STDOUT (NULL 'secret')":                                  "rows whose value is that text would show",
		"COPY public.people TO STDOUT (NULL '')":                                        "so would empty ones",
		"COPY public.people TO STDOUT (ENCODING 'LATIN1')":                              "values are masked in UTF8",
		"COPY public.people TO STDOUT (FORMAT csv, ENCODING 'SJIS')":                    "there a letter's second byte may be a quote",
		"COPY (SELECT id FROM public.people WHERE word LIKE 's%') TO STDOUT":            "a masked column decides",
		"COPY public.people TO PROGRAM 'cat'":                                           "it leaves elsewhere",
		"COPY (SELECT word FROM public.people UNION SELECT 'x') TO STDOUT (FORMAT csv)": "a masked column decides",
	} {
		var got bytes.Buffer
		if _, err := through.CopyTo(deadline(t), &got, text); err == nil || got.Len() > 0 {
			t.Errorf("%s: %s: got %q, %v", text, reason, got.String(), err)
		}
	}
	var got bytes.Buffer
	if _, err := through.CopyTo(deadline(t), &got, "COPY (SELECT upper(word), lower(tail) FROM public.people WHERE id < 3) TO STDOUT"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(got.String()), "secret") {
		t.Errorf("what is computed shows: %q", got.String())
	}
}

// TestCopyContent: detectors look into copy data, too.
func TestCopyContent(t *testing.T) {
	direct := seeded(t, "found", "0")
	if _, err := direct.Exec(deadline(t), `ALTER TABLE public.found ADD note text, ADD doc jsonb, ADD many text[], ADD card bigint;
		INSERT INTO public.found VALUES (1, 2, 'write to ann@example.com, or call', '{"mail": "ann@example.com", "n": 1}', '{a,ann@example.com}', 4111111111111111), (2, 2, 'nothing', '{}', '{a}', 17)`); err != nil {
		t.Fatal(err)
	}
	r, s := road(t)
	r.Engine.Set(nil, policy.Mask{Policy: "p", Name: "found", Detect: []string{"Email", "PaymentCard"}, Method: policy.Method{Type: policy.Redact}})
	r.Apply(t)
	through := client(t, r, s).PgConn()
	for name, tc := range map[string]struct{ text, want string }{
		"Relation": {"COPY public.found TO STDOUT", "1\t2\twrite to [masked], or call\t{\"n\": 1, \"mail\": \"[masked]\"}\t\\N\t\\N\n2\t2\tnothing\t{}\t{a}\t17\n"},
		"CSV":      {"COPY public.found (note, card) TO STDOUT (FORMAT csv)", "\"write to [masked], or call\",\nnothing,17\n"},
		"Query":    {"COPY (SELECT note, doc, many, card FROM public.found) TO STDOUT", "write to [masked], or call\t{\"n\": 1, \"mail\": \"[masked]\"}\t{a,[masked]}\t\\N\nnothing\t{}\t{a}\t17\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if _, err := through.CopyTo(deadline(t), &got, tc.text); err != nil {
				t.Fatal(err)
			}
			if got.String() != tc.want {
				t.Errorf("\n got %q\nwant %q", got.String(), tc.want)
			}
		})
	}
	found := r.Log.Await(deadline(t), t, "the result", func(e record.Event) bool { return e.Result != nil && len(e.Result.MaskedFields) == 2 })
	if fmt.Sprint(found.Result.MaskedFields) != "[content:Email content:PaymentCard]" {
		t.Errorf("on record: %v", found.Result.MaskedFields)
	}
	var got bytes.Buffer
	if _, err := through.CopyTo(deadline(t), &got, "COPY public.found TO STDOUT (FORMAT binary)"); err != nil || strings.Contains(got.String(), "ann@") {
		t.Errorf("binary: %q, %v", got.String(), err)
	}
}

// TestDumpMasked: pg_dump of masked tables works, and dumps masked data.
func TestDumpMasked(t *testing.T) {
	r, s, _ := peopled(t)
	command := exec.CommandContext(deadline(t), filepath.Join(server.BinDir, "pg_dump"), "--data-only", "-t", "public.people", "-d", dsn(t, r, s))
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "secret") || !strings.Contains(string(out), "1\t[masked]\t*********gh\t\\N\tplain\n") {
		t.Errorf("dumped:\n%s", out)
	}
}
