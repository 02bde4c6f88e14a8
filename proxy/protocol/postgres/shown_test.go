// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestResponses: what a record keeps of an answer is what the caller got, after
// masking, in a text that can be read back, with its gaps named.
func TestResponses(t *testing.T) {
	keep := func(responses string) func(*protocoltest.Config) {
		return func(c *protocoltest.Config) { c.Audit = snapshot.Audit{Responses: responses} }
	}
	mask := policy.Mask{Policy: "p", Name: "contact", Fields: []string{"public.customers.email"}, Method: policy.Method{Type: "Redact"}}
	const rows = "SELECT id, name, email FROM public.customers WHERE id IN (1, 3) ORDER BY id"
	const shown = "id\tname\temail\n1\tAnn\t[masked]\n3\tCem\t\\N\n"
	tests := map[string]struct {
		reason    string
		responses string
		send      []pgproto3.FrontendMessage
		text      string
		gapRows   int64
		gap       bool
		masked    int64
		nothing   bool
	}{
		"None":   {reason: "unset keeps nothing of the answer", send: []pgproto3.FrontendMessage{query(rows)}, nothing: true, masked: 1},
		"Digest": {reason: "a digest proves an answer without showing it", responses: "Digest", send: []pgproto3.FrontendMessage{query(rows)}, masked: 1},
		"Simple": {reason: "the masked rows, as COPY would write them", responses: "Masked", send: []pgproto3.FrontendMessage{query(rows)}, text: shown, masked: 1},
		"NeverDescribed": {
			reason: "a client that describes nothing is shown with names all the same", responses: "Masked", masked: 1,
			send: []pgproto3.FrontendMessage{parse("", rows), bind("", ""), execute(""), syncNow}, text: shown,
		},
		"Binary": {
			reason: "binary values are shown as bytes, text stays text", responses: "Masked", masked: 1,
			send: []pgproto3.FrontendMessage{parse("", rows), &pgproto3.Bind{ResultFormatCodes: []int16{1}}, execute(""), syncNow},
			text: "id\tname\temail\n\\\\x00000001\tAnn\t[masked]\n\\\\x00000003\tCem\t\\N\n",
		},
		"Escapes": {
			reason: "a value cannot look like a row, a column or a NULL", responses: "Masked",
			send: []pgproto3.FrontendMessage{query(`SELECT E'a\tb\nc\\N' AS "x\y"`)}, text: "x\\\\y\na\\tb\\nc\\\\N\n",
		},
		"Copy": {
			reason: "copy data is shown as it is", responses: "Masked",
			send: []pgproto3.FrontendMessage{query("COPY (SELECT id, total FROM public.orders WHERE id < 3 ORDER BY id) TO STDOUT")}, text: "1\t10\n2\t20\n",
		},
		"CopyBinary": {
			reason: "binary copy data has a digest and a gap", responses: "Masked", gap: true,
			send: []pgproto3.FrontendMessage{query("COPY (SELECT id FROM public.orders WHERE id = 1) TO STDOUT WITH (FORMAT binary)")},
		},
		"Gap": {
			reason: "what is too large is left out, and that it is is said", responses: "Masked", gapRows: 999, gap: true,
			send: []pgproto3.FrontendMessage{query("SELECT CASE id WHEN 1 THEN 'a' WHEN 2 THEN repeat('b', 70000) ELSE 'c' END AS v FROM public.orders ORDER BY id")}, text: "v\na\n",
		},
		"NoRows": {reason: "a statement without rows has an empty answer", responses: "Masked", send: []pgproto3.FrontendMessage{query("UPDATE public.orders SET total = total WHERE id = 1")}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, s := road(t, keep(tc.responses))
			r.Engine.Set(nil, mask)
			r.Apply(t)
			c := enter(t, r, s)
			c.send(tc.send...)
			wire := sha256.New()
			for ready := false; !ready; {
				switch m := c.receive().(type) {
				case *pgproto3.DataRow:
					write(t, wire, m)
				case *pgproto3.CopyData:
					write(t, wire, m)
				case *pgproto3.ReadyForQuery:
					ready = true
				}
			}
			results := r.Log.OfType(record.OperationResult)
			if len(results) != 1 {
				t.Fatalf("%d results on record, want one", len(results))
			}
			got := results[0].Result
			if got.MaskedValues != tc.masked {
				t.Errorf("%s: %d masked values on record, want %d", tc.reason, got.MaskedValues, tc.masked)
			}
			if tc.nothing {
				if got.Response != nil {
					t.Errorf("%s: %+v", tc.reason, got.Response)
				}
				return
			}
			if got.Response == nil {
				t.Fatalf("%s: nothing of the answer is on record", tc.reason)
			}
			if want := "sha256:" + hex.EncodeToString(wire.Sum(nil)); got.Response.Digest != want {
				t.Errorf("%s: digest %s, the caller got %s", tc.reason, got.Response.Digest, want)
			}
			if diff := cmp.Diff(tc.text, got.Response.Text); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got.Response.GapRows != tc.gapRows && tc.gapRows != 0 || tc.gap != (got.Response.GapBytes > 0) {
				t.Errorf("%s: gap of %d rows, %d bytes", tc.reason, got.Response.GapRows, got.Response.GapBytes)
			}
			if strings.Contains(got.Response.Text, "ann@example.com") {
				t.Error("a masked value is on record")
			}
		})
	}
}

func write(t *testing.T, to interface{ Write([]byte) (int, error) }, m pgproto3.BackendMessage) {
	t.Helper()
	raw, err := m.Encode(nil)
	if err == nil {
		_, err = to.Write(raw)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestParameterText: values are on record only where the Connection says so.
func TestParameterText(t *testing.T) {
	for name, want := range map[string]string{"": "", "Digest": "", "Text": "$1 = '7'"} {
		t.Run(name, func(t *testing.T) {
			r, s := road(t, func(c *protocoltest.Config) { c.Audit = snapshot.Audit{Parameters: name} })
			c := enter(t, r, s)
			c.send(parse("", "SELECT total FROM public.orders WHERE id = $1"), &pgproto3.Bind{Parameters: [][]byte{[]byte("7")}}, execute(""), syncNow)
			c.until(1)
			got := r.Log.OfType(record.OperationDecided)
			if len(got) != 1 || got[0].Operation.ParameterText != want || got[0].Operation.ParametersDigest == "" {
				t.Errorf("decisions on record: %+v, want one with the digest and the text %q", got, want)
			}
		})
	}
}
