// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestSessionLimits: the bounds on a session's silence and on its length hold
// in every state, and the client learns which it was.
func TestSessionLimits(t *testing.T) {
	const idle, over = "FATAL 57P05", "FATAL 57P01"
	for name, tc := range map[string]struct {
		reason string
		// say is what the client says at each ReadyForQuery, before it falls silent.
		say   [][]pgproto3.FrontendMessage
		bound snapshot.Session
		hold  bool
		want  string
		text  string
	}{
		"idle":                       {reason: "nothing was asked", bound: snapshot.Session{IdleTimeoutSeconds: 1}, want: idle, text: "idle"},
		"idle in a transaction":      {reason: "locks are held", say: [][]pgproto3.FrontendMessage{{query("BEGIN")}, {query("SELECT 1")}}, bound: snapshot.Session{IdleTimeoutSeconds: 1}, want: idle, text: "idle"},
		"idle in a failed one":       {reason: "locks are held", say: [][]pgproto3.FrontendMessage{{query("BEGIN")}, {query("SELECT 1/0")}}, bound: snapshot.Session{IdleTimeoutSeconds: 1}, want: idle, text: "idle"},
		"silent in COPY FROM":        {reason: "it is the client that is waited for", say: [][]pgproto3.FrontendMessage{{query("COPY public.orders FROM STDIN")}}, bound: snapshot.Session{IdleTimeoutSeconds: 1}, want: idle, text: "idle"},
		"silent in the midst of one": {reason: "some data came", say: [][]pgproto3.FrontendMessage{{query("COPY public.orders FROM STDIN"), &pgproto3.CopyData{Data: []byte("5000\t1\t1\n")}}}, bound: snapshot.Session{IdleTimeoutSeconds: 1}, want: idle, text: "idle"},
		"in a pipeline without Sync": {reason: "it is the client that is waited for", say: [][]pgproto3.FrontendMessage{{&pgproto3.Parse{Query: "SELECT 1"}}}, bound: snapshot.Session{IdleTimeoutSeconds: 1}, want: idle, text: "idle"},
		"a long statement":           {reason: "it is not idle while it runs, and ends with the session", say: [][]pgproto3.FrontendMessage{{query("SELECT pg_sleep(60)")}}, bound: snapshot.Session{IdleTimeoutSeconds: 1, MaxDurationSeconds: 3}, want: over, text: "reached its end"},
		"a held statement":           {reason: "waiting for an approver is not idle", say: [][]pgproto3.FrontendMessage{{query("UPDATE public.orders SET total = 0 WHERE id = 1")}}, hold: true, bound: snapshot.Session{IdleTimeoutSeconds: 1, MaxDurationSeconds: 3}, want: over, text: "reached its end"},
		"the end, idle":              {reason: "whatever happens", bound: snapshot.Session{MaxDurationSeconds: 1}, want: over, text: "reached its end"},
		"the end, in a transaction":  {reason: "whatever happens", say: [][]pgproto3.FrontendMessage{{query("BEGIN")}}, bound: snapshot.Session{MaxDurationSeconds: 2}, want: over, text: "reached its end"},
		"the end, in COPY":           {reason: "whatever happens", say: [][]pgproto3.FrontendMessage{{query("COPY public.orders FROM STDIN")}}, bound: snapshot.Session{MaxDurationSeconds: 2}, want: over, text: "reached its end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := road(t, func(c *protocoltest.Config) { c.Session = tc.bound })
			if tc.hold {
				r.Engine.Set(protocoltest.HoldAction("update"))
				r.Apply(t)
			}
			conn := dialTLS(t, r, s)
			c := &raw{tb: t, conn: conn, fe: pgproto3.NewFrontend(conn, conn)}
			c.write(startupPacket(196608, "user", "alice", "database", "shop"))
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			var last *pgproto3.ErrorResponse
			left := tc.say
			for {
				m, err := c.fe.Receive()
				if err != nil {
					break
				}
				switch m := m.(type) {
				case *pgproto3.AuthenticationCleartextPassword:
					c.send(&pgproto3.PasswordMessage{Password: protocoltest.Token})
				case *pgproto3.ReadyForQuery:
					if len(left) > 0 {
						c.send(left[0]...)
						left = left[1:]
					}
				case *pgproto3.ErrorResponse:
					copied := *m
					last = &copied
				}
			}
			if last == nil || short(last) != tc.want || !strings.Contains(last.Message, tc.text) || last.Hint == "" {
				t.Errorf("%s: the client's last word was %+v, want %s with %q", tc.reason, last, tc.want, tc.text)
			}
			end := r.Log.Await(deadline(t), t, "session end", func(e record.Event) bool { return e.Type == record.SessionEnd })
			if !strings.Contains(end.Reason, tc.text) {
				t.Errorf("%s: on record is %q", tc.reason, end.Reason)
			}
			if slices.ContainsFunc(r.Log.OfType(record.OperationResult), func(e record.Event) bool { return tc.hold && e.Result.Outcome == "Succeeded" }) {
				t.Errorf("%s: the held statement ran", tc.reason)
			}
		})
	}
}
