// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

func TestCopyFormat(t *testing.T) {
	t.Parallel()
	text := sql.CopyFormat{Delimiter: "\t", Null: `\N`}
	csv := sql.CopyFormat{CSV: true, Delimiter: ",", Quote: `"`, Escape: `"`}
	with := func(f sql.CopyFormat, change func(*sql.CopyFormat)) *sql.CopyFormat {
		change(&f)
		return &f
	}
	for name, tc := range map[string]struct {
		reason, options string
		want            *sql.CopyFormat
	}{
		"Default":     {"the text format", "", &text},
		"Binary":      {"", "(FORMAT binary)", with(text, func(f *sql.CopyFormat) { f.Binary = true })},
		"BinaryOld":   {"syntax of PostgreSQL 8", "WITH BINARY", with(text, func(f *sql.CopyFormat) { f.Binary = true })},
		"CSV":         {"", "(FORMAT csv)", &csv},
		"CSVOld":      {"", "WITH CSV HEADER DELIMITER ';'", with(csv, func(f *sql.CopyFormat) { f.Header, f.Delimiter = true, ";" })},
		"Header":      {"an option without a value is true", "(FORMAT csv, HEADER)", with(csv, func(f *sql.CopyFormat) { f.Header = true })},
		"HeaderOff":   {"", "(HEADER off)", &text},
		"HeaderZero":  {"", "(HEADER 0)", &text},
		"HeaderFALSE": {"", "(HEADER 'FALSE')", &text},
		"HeaderTwo":   {"the server refuses it", "(HEADER 2)", with(text, func(f *sql.CopyFormat) { f.Header, f.Unknown = false, true })},
		"HeaderWord":  {"the server refuses it", "(HEADER maybe)", with(text, func(f *sql.CopyFormat) { f.Header, f.Unknown = true, true })},
		"HeaderOn":    {"", "(HEADER 1)", with(text, func(f *sql.CopyFormat) { f.Header = true })},
		"Quote":       {"escape is the quote unless it is given", "(FORMAT csv, QUOTE '|')", with(csv, func(f *sql.CopyFormat) { f.Quote, f.Escape = "|", "|" })},
		"Escape":      {"", `(FORMAT csv, ESCAPE '\')`, with(csv, func(f *sql.CopyFormat) { f.Escape = `\` })},
		"Null":        {"", "(NULL 'nix')", with(text, func(f *sql.CopyFormat) { f.Null = "nix" })},
		"Order":       {"the format may come last", "(NULL 'x', FORMAT csv)", with(csv, func(f *sql.CopyFormat) { f.Null = "x" })},
		"ForceQuote":  {"", "(FORMAT csv, FORCE_QUOTE (id))", with(csv, func(f *sql.CopyFormat) { f.ForceQuote = []string{"id"} })},
		"ForceAll":    {"", "(FORMAT csv, FORCE_QUOTE *)", with(csv, func(f *sql.CopyFormat) { f.ForceQuoteAll = true })},
		"Encoding":    {"", "(ENCODING 'LATIN1')", with(text, func(f *sql.CopyFormat) { f.Encoding = "LATIN1" })},
		"Unknown":     {"an option that may change the data", "(COMPRESSION 'x')", with(text, func(f *sql.CopyFormat) { f.Unknown = true })},
		"Format":      {"a format of later servers", "(FORMAT 'json')", with(text, func(f *sql.CopyFormat) { f.Unknown = true })},
		"NoFormat":    {"what is not understood", "(FORMAT 1)", with(text, func(f *sql.CopyFormat) { f.Unknown = true })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Nothing of a query is taken for an option.
			for _, source := range []string{
				"orders", "(SELECT id FROM orders)", "(SELECT id FROM orders WHERE id < 3)", "(SELECT ')' AS \"(\" FROM orders WHERE (id) IN (1, 2) ORDER BY id DESC)",
				"(TABLE orders)", "(SELECT id AS header FROM orders WHERE true)",
			} {
				s, err := one(t, "COPY "+source+" TO STDOUT "+tc.options, options())
				if err != nil {
					t.Fatalf("%s: %v", source, err)
				}
				if diff := cmp.Diff(tc.want, s.Effects.Copy); diff != "" {
					t.Errorf("%s: %s: -want +got:\n%s", tc.reason, source, diff)
				}
			}
		})
	}
}
