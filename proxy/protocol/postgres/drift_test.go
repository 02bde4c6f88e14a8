// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
)

// TestColumnsDrift: where the target describes other columns than a statement was
// found to have, since a relation was changed past the proxy, nothing is shown; the
// session goes on, and the next try is right (checklist 18).
func TestColumnsDrift(t *testing.T) {
	const all = "SELECT * FROM public.drifting"
	for name, tc := range map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		wrong  []string
		right  []string
	}{
		"simple": {
			reason: "found when rows are described", send: []pgproto3.FrontendMessage{query(all)},
			wrong: []string{"ERROR 0A000", "ready I"}, right: []string{"RowDescription", "row 1|NULL|NULL", "done SELECT 1", "ready I"},
		},
		"extended": {
			reason: "found when the first row comes", send: []pgproto3.FrontendMessage{parse("", all), bind("", ""), execute(""), syncNow},
			wrong: []string{"ParseComplete", "BindComplete", "ERROR 0A000", "ready I"}, right: []string{"ParseComplete", "BindComplete", "row 1|NULL|NULL", "done SELECT 1", "ready I"},
		},
		"COPY": {
			reason: "found when the columns are announced", send: []pgproto3.FrontendMessage{query("COPY public.drifting TO STDOUT")},
			wrong: []string{"ERROR 0A000", "ready I"}, right: []string{"CopyOutResponse", "CopyData", "CopyDone", "done COPY 1", "ready I"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			direct := seeded(t, "drifting", "1")
			r, s := road(t)
			r.Engine.Set(nil, policy.Mask{Policy: "p", Name: "m", Fields: []string{"public.drifting.total"}, Method: policy.Method{Type: policy.Redact}})
			r.Apply(t)
			c := enter(t, r, s)
			_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
			c.send(query(all))
			if diff := cmp.Diff([]string{"RowDescription", "row 1|NULL", "done SELECT 1", "ready I"}, c.until(1)); diff != "" {
				t.Fatalf("before (-want +got):\n%s", diff)
			}
			if _, err := direct.Exec(deadline(t), "ALTER TABLE public.drifting ADD COLUMN more text"); err != nil {
				t.Fatal(err)
			}
			// The catalog is read again at most four times a second.
			for first := true; ; first = false {
				c.send(tc.send...)
				got := c.until(1)
				if !first && cmp.Equal(tc.right, got) {
					break
				}
				if diff := cmp.Diff(tc.wrong, got); diff != "" {
					t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
				}
			}
		})
	}
}
