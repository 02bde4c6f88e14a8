// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

var copyFormats = []*sql.CopyFormat{
	{Delimiter: "\t", Null: `\N`},
	{Delimiter: "|", Null: `\N`, Header: true},
	{CSV: true, Delimiter: ",", Quote: `"`, Escape: `"`},
	{CSV: true, Delimiter: ";", Quote: `'`, Escape: `\`, Null: "NULL", Header: true},
	{CSV: true, Delimiter: "\t", Quote: `"`, Escape: `"`, ForceQuoteAll: true},
	{Binary: true},
}

// copyPlan masks the first of three columns and looks into the third.
func copyPlan(inBinary bool) *rowPlan {
	return &rowPlan{rules: emails, fields: []fieldPlan{
		{how: plain, method: policy.Method{Type: policy.Redact}, kind: mask.Text, binary: inBinary}, {binary: inBinary}, {how: scan, kind: mask.Text, binary: inBinary},
	}}
}

// fed is what a copier makes of a stream in pieces of a size.
func fed(f *sql.CopyFormat, data []byte, size int) (out []byte, rows int64, err error) {
	c := newCopier(copyPlan(f.Binary), f, nil)
	for len(data) > 0 {
		piece := data[:min(size, len(data))]
		data = data[len(piece):]
		// What is given must not be relied on after the next call.
		next, n, err := c.feed(bytes.Clone(piece), &tally{})
		if err != nil {
			return out, rows, err
		}
		out, rows = append(out, next[headerLength:]...), rows+n
	}
	return out, rows, c.close()
}

// FuzzCopy: copy data cut anywhere gives the same; what was masked once is as it
// would be masked again, so that it can be read.
func FuzzCopy(f *testing.F) {
	for i, seed := range []string{
		"secret\tb\tann@example.com\n\\N\t\\N\t\\N\n", "a|b|c\nsecret|x\\|y|z\\n\n", "secret,\"a \"\"b\"\"\n\",c\n,,\n",
		"a;b;c\n'it\\'s';'x;y';NULL\n", "\"secret\"\t\"b\"\t\"ann@example.com\"\n",
		copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x06secret\xff\xff\xff\xff\x00\x00\x00\x01x\xff\xff",
	} {
		f.Add([]byte(seed), i, 1)
		f.Add([]byte(seed), i, 7)
	}
	f.Fuzz(func(t *testing.T, data []byte, format, size int) {
		if size < 1 || format < 0 {
			return
		}
		how := copyFormats[format%len(copyFormats)]
		whole, rows, wholeErr := fed(how, data, len(data)+1)
		cut, cutRows, cutErr := fed(how, data, size)
		if (wholeErr == nil) != (cutErr == nil) {
			t.Fatalf("whole: %v; in pieces of %d: %v", wholeErr, size, cutErr)
		}
		if wholeErr != nil {
			return
		}
		if !bytes.Equal(whole, cut) || rows != cutRows {
			t.Fatalf("whole %q, in pieces of %d %q", whole, size, cut)
		}
		again, rowsAgain, err := fed(how, whole, len(whole)+1)
		if err != nil || rowsAgain != rows || !bytes.Equal(again, whole) {
			t.Fatalf("%q is masked again as %q, %v", whole, again, err)
		}
	})
}

// TestCopyUnreadable: what the server does not write ends the COPY.
func TestCopyUnreadable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		format int
		data   string
	}{
		"Few":            {"another column may be what is masked", 0, "a\tb\n"},
		"Many":           {"", 0, "a\tb\tc\td\n"},
		"Escape":         {"the server writes no octal digits", 0, "\\101\tb\tc\n"},
		"Cut":            {"a row must end", 0, "a\tb\tc"},
		"Quotes":         {"they must match", 2, "\"a\"b,c,d\n"},
		"Within":         {"a quote within a value", 2, "a\"b,c,d\n"},
		"Open":           {"a quoted value must end", 2, "\"a,b,c\n"},
		"Few, CSV":       {"", 2, "a,b\n"},
		"Signature":      {"", 5, strings.Repeat("x", 40)},
		"Critical flags": {"what they mean nobody knows", 5, copySignature + "\x00\x01\x00\x00\x00\x00\x00\x00"},
		"Extension":      {"", 5, copySignature + "\x00\x00\x00\x00\x7f\xff\xff\xff"},
		"Count":          {"", 5, copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"},
		"Length":         {"checklist 13", 5, copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xfe"},
		"No trailer":     {"", 5, copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00"},
		"Behind":         {"nothing follows the trailer", 5, copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, _, err := fed(copyFormats[tc.format], []byte(tc.data), 3); err == nil {
				t.Errorf("%s: gave %q", tc.reason, out)
			}
		})
	}
}

// TestCopyLarge: a row is held up to a bound, and looking for its end takes time in
// proportion to it.
func TestCopyLarge(t *testing.T) {
	t.Parallel()
	c := newCopier(copyPlan(false), copyFormats[2], nil)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	fedBytes := 0
	for {
		_, _, err := c.feed(piece, &tally{})
		if err != nil {
			break
		}
		if fedBytes += len(piece); fedBytes > maxMaskedRow {
			t.Fatal("a row beyond the bound is held")
		}
	}
	if fedBytes < maxMaskedRow-len(piece) {
		t.Errorf("given up after %d bytes", fedBytes)
	}
}
