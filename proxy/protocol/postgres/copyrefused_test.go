// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// TestCopyRefused: clients such as pgx send the data of a COPY without waiting to
// be asked for it. What comes after a refusal is dropped, as the server drops it,
// and nothing of it reaches the target or the record.
func TestCopyRefused(t *testing.T) {
	const text = "COPY public.orders FROM STDIN"
	data := []pgproto3.FrontendMessage{&pgproto3.CopyData{Data: []byte("1\t1\t1\n")}, &pgproto3.CopyDone{}}
	tests := map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		ready  int
		want   []string
	}{
		"simple": {
			reason: "refused by the proxy itself", ready: 2,
			send: append(append([]pgproto3.FrontendMessage{query(text)}, data...), query("SELECT 1")),
			want: []string{"ERROR 42501", "ready I", "RowDescription", "row 1", "done SELECT 1", "ready I"},
		},
		"simple in a transaction": {
			reason: "refused through the target, which must abort the transaction", ready: 3,
			send: append(append([]pgproto3.FrontendMessage{query("BEGIN"), query(text)}, data...), query("ROLLBACK")),
			want: []string{"done BEGIN", "ready T", "ERROR 42501", "ready E", "done ROLLBACK", "ready I"},
		},
		"not understood": {
			reason: "a COPY that the proxy does not understand is no less refused", ready: 2,
			send: append(append([]pgproto3.FrontendMessage{query("COPY public.nothing FROM STDIN")}, data...), query("SELECT 1")),
			want: []string{"ERROR 42P01", "ready I", "RowDescription", "row 1", "done SELECT 1", "ready I"},
		},
		"extended": {
			reason: "all is skipped up to the Sync", ready: 2,
			send: append(append([]pgproto3.FrontendMessage{parse("", text), bind("", ""), execute("")}, data...), syncNow, query("SELECT 1")),
			want: []string{"ERROR 42501", "ready I", "RowDescription", "row 1", "done SELECT 1", "ready I"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, s := road(t)
			r.Engine.Set(protocoltest.DenyAction("insert"))
			r.Apply(t)
			c := enter(t, r, s)
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, c.until(tc.ready)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			for _, e := range r.Log.OfType(record.OperationDecided) {
				if e.Operation.Kind == "CopyData" {
					t.Errorf("%s: the data is on record as a breach of the protocol", tc.reason)
				}
			}
		})
	}
}
