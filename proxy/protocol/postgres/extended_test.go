// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

func parse(name, text string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: text} }

func bind(portal, statement string) *pgproto3.Bind {
	return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
}

func execute(portal string) *pgproto3.Execute { return &pgproto3.Execute{Portal: portal} }

func query(text string) *pgproto3.Query { return &pgproto3.Query{String: text} }

var syncNow = &pgproto3.Sync{}

// TestMessages is checklist 9: every frontend message in every state it can
// arrive in is handled or refused by name, and what is refused is on record.
func TestMessages(t *testing.T) {
	message := func(kind byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
	}
	violation := []string{"FATAL 08P01", "end"}
	tests := map[string]struct {
		reason string
		// before is sent first, and answered by one ReadyForQuery where it ends in one.
		before []pgproto3.FrontendMessage
		ready  int
		send   []byte
		after  int
		want   []string
		// recorded is the kind of the refused operation.
		recorded string
	}{
		"FunctionCall idle":            {reason: "refused, the session goes on", send: message('F', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0), after: 1, want: []string{"ERROR 0A000", "ready I"}, recorded: "FunctionCall"},
		"FunctionCall in transaction":  {reason: "an error aborts the transaction", before: []pgproto3.FrontendMessage{query("BEGIN")}, ready: 1, send: message('F', 0, 0, 0, 1), after: 1, want: []string{"ERROR 0A000", "ready E"}, recorded: "FunctionCall"},
		"password late":                {reason: "SASL and passwords have their time", send: message('p', 'x', 0), want: violation, recorded: "PasswordMessage"},
		"CopyData idle":                {reason: "dropped where no COPY runs, as the server does", send: append(message('d', 'x'), message('S')...), after: 1, want: []string{"ready I"}},
		"CopyDone idle":                {reason: "dropped where no COPY runs, as the server does", send: append(message('c'), message('S')...), after: 1, want: []string{"ready I"}},
		"CopyFail idle":                {reason: "dropped where no COPY runs, as the server does", send: append(message('f', 'x', 0), message('S')...), after: 1, want: []string{"ready I"}},
		"unknown type":                 {reason: "what is not listed is not forwarded", send: message('z'), want: violation, recorded: "Message"},
		"backend type from the client": {reason: "what is not listed is not forwarded", send: message('T', 0, 0), want: violation, recorded: "Message"},
		"zero type":                    {reason: "what is not listed is not forwarded", send: message(0), want: violation, recorded: "Message"},
		"length 0":                     {reason: "checklist 13", send: []byte{'Q', 0, 0, 0, 0}, want: violation, recorded: "Framing"},
		"length 3":                     {reason: "checklist 13", send: []byte{'Q', 0, 0, 0, 3}, want: violation, recorded: "Framing"},
		"length 2^31-1":                {reason: "checklist 13", send: []byte{'Q', 0x7f, 0xff, 0xff, 0xff}, want: violation, recorded: "Framing"},
		"length 2^32-1":                {reason: "checklist 13", send: []byte{'Q', 0xff, 0xff, 0xff, 0xff}, want: violation, recorded: "Framing"},
		"Bind with field length -2":    {reason: "checklist 13", before: []pgproto3.FrontendMessage{parse("", "SELECT $1::text"), syncNow}, ready: 1, send: message('B', 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0), want: violation, recorded: "Malformed"},
		"Bind with bytes too many":     {reason: "the proxy reads what the server reads", before: []pgproto3.FrontendMessage{parse("", "SELECT 1"), syncNow}, ready: 1, send: message('B', 0, 0, 0, 0, 0, 0, 0, 0, 9), want: violation, recorded: "Malformed"},
		"Query without end":            {reason: "malformed", send: message('Q', 'S'), want: violation, recorded: "Malformed"},
		"Query with two ends":          {reason: "the server reads up to the first", send: message('Q', 'S', 0, 'X', 0), want: violation, recorded: "Malformed"},
		"Sync with a body":             {reason: "malformed", send: message('S', 1), want: violation, recorded: "Malformed"},
		"Describe of nothing known":    {reason: "kind is S or P", send: message('D', 'X', 0), want: violation, recorded: "Malformed"},
		"Sync idle":                    {reason: "always allowed", send: message('S'), after: 1, want: []string{"ready I"}},
		"Flush idle":                   {reason: "always allowed", send: append(message('H'), message('S')...), after: 1, want: []string{"ready I"}},
		"empty query":                  {reason: "has no statement to decide", send: message('Q', ' ', ';', 0), after: 1, want: []string{"EmptyQueryResponse", "ready I"}},
		"Query too long":               {reason: "a bound with a clear error; the session goes on", send: append(binary.BigEndian.AppendUint32([]byte{'Q'}, 9<<20+13), append([]byte("SELECT '"+strings.Repeat("x", 9<<20)), 0)...), after: 1, want: []string{"ERROR 54000", "ready I"}, recorded: "Query"},
		"Query while COPY runs":        {reason: "no statement hides in a COPY", before: []pgproto3.FrontendMessage{query("COPY public.orders FROM STDIN")}, send: message('Q', 'S', 0), want: append([]string{"CopyInResponse"}, violation...), recorded: "CopyData"},
		"Execute of no portal":         {reason: "nothing is known to decide on", send: append(message('E', 'x', 0, 0, 0, 0, 0), message('S')...), after: 1, want: []string{"ERROR 34000", "ready I"}, recorded: "Execute"},
		"Bind of no statement":         {reason: "nothing is known to decide on", send: append(message('B', 0, 'x', 0, 0, 0, 0, 0, 0, 0), message('S')...), after: 1, want: []string{"ERROR 26000", "ready I"}, recorded: "Bind"},
		"Terminate":                    {reason: "the end", send: message('X'), want: []string{"end"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, s := road(t)
			c := enter(t, r, s)
			if tc.before != nil {
				c.send(tc.before...)
			}
			if tc.ready > 0 {
				c.until(tc.ready)
			}
			c.write(tc.send)
			if diff := cmp.Diff(tc.want, c.until(tc.after)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if tc.after > 0 {
				c.send(query("SELECT 1"))
				if got := c.until(1); got[len(got)-2] != "done SELECT 1" && got[0] != "ERROR 25P02" {
					t.Errorf("the session does not go on: %v", got)
				}
			}
			var kinds []string
			for _, e := range r.Log.OfType(record.OperationDecided) {
				if e.Decision.Effect == policy.Deny {
					kinds = append(kinds, e.Operation.Kind)
				}
			}
			if got := strings.Join(kinds, ","); got != tc.recorded {
				t.Errorf("refusals on record: %q, want %q", got, tc.recorded)
			}
		})
	}
}

// TestBinding is checklist 10: what is decided is what runs, whatever happens
// to names in between.
func TestBinding(t *testing.T) {
	const allowed, denied = "SELECT total FROM public.orders WHERE id = 1", "SELECT word FROM public.secrets"
	r, s := road(t)
	r.Engine.Set(func(op policy.Operation) policy.Decision {
		for _, a := range op.Accesses {
			if a.Resource == "public.secrets" {
				return policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{protocoltest.Rule}, Access: a}
			}
		}
		return policy.Decision{Effect: policy.Allow}
	})
	r.Apply(t)
	tests := map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		ready  int
		want   []string
		// last is the last statement on record, where it matters.
		last string
	}{
		"allowed": {
			reason: "the ordinary way", ready: 1,
			send: []pgproto3.FrontendMessage{parse("", allowed), bind("", ""), execute(""), syncNow},
			want: []string{"ParseComplete", "BindComplete", "row 10", "done SELECT 1", "ready I"},
		},
		"denied at Parse": {
			reason: "nothing after it runs", ready: 1,
			send: []pgproto3.FrontendMessage{parse("", denied), bind("", ""), execute(""), syncNow},
			want: []string{"ERROR 42501", "ready I"},
		},
		"redefined name": {
			reason: "a denied Parse of a name does not take the name's place", ready: 3,
			send: []pgproto3.FrontendMessage{
				parse("a", allowed), syncNow, parse("a", denied), syncNow, bind("", "a"), execute(""), syncNow,
			},
			want: []string{"ParseComplete", "ready I", "ERROR 42501", "ready I", "BindComplete", "row 10", "done SELECT 1", "ready I"},
		},
		"pipelined Parse of one name twice": {
			reason: "the second fails at the target; then the first is what runs", ready: 2,
			send: []pgproto3.FrontendMessage{
				parse("b", allowed), parse("b", "SELECT 7"), bind("", "b"), execute(""), syncNow, bind("", "b"), execute(""), syncNow,
			},
			want: []string{"ParseComplete", "ERROR 42P05", "ready I", "BindComplete", "row 10", "done SELECT 1", "ready I"},
		},
		"Parse that fails in a later segment": {
			reason: "the name keeps what it was, and that is what is decided", ready: 3, last: allowed,
			send: []pgproto3.FrontendMessage{
				parse("c", allowed), syncNow, parse("c", "SELECT 7"), syncNow, bind("", "c"), execute(""), syncNow,
			},
			want: []string{"ParseComplete", "ready I", "ERROR 42P05", "ready I", "BindComplete", "row 10", "done SELECT 1", "ready I"},
		},
		"error between Parse and Sync": {
			reason: "what is parsed after an error is skipped by the target and by the proxy", ready: 2,
			send: []pgproto3.FrontendMessage{
				parse("d", "SELECT 1/0"), bind("", "d"), execute(""), parse("e", allowed), syncNow, bind("", "e"), execute(""), syncNow,
			},
			want: []string{"ParseComplete", "ERROR 22012", "ready I", "ERROR 26000", "ready I"},
		},
		"PREPARE and the protocol share names": {
			reason: "EXECUTE of what Parse named, Bind of what PREPARE named", ready: 4,
			send: []pgproto3.FrontendMessage{
				parse("f", allowed), syncNow, query("EXECUTE f"), query("PREPARE g AS SELECT 5"), bind("", "g"), execute(""), syncNow,
			},
			want: []string{"ParseComplete", "ready I", "RowDescription", "row 10", "done SELECT 1", "ready I", "done PREPARE", "ready I", "BindComplete", "row 5", "done SELECT 1", "ready I"},
		},
		"PREPARE that fails": {
			reason: "the name keeps what it was", ready: 3,
			send: []pgproto3.FrontendMessage{query("PREPARE h AS SELECT 1"), query("PREPARE h AS SELECT 2"), query("EXECUTE h")},
			want: []string{"done PREPARE", "ready I", "ERROR 42P05", "ready I", "RowDescription", "row 1", "done SELECT 1", "ready I"},
		},
		"PREPARE of what is denied": {
			reason: "decided by what it would run", ready: 1,
			send: []pgproto3.FrontendMessage{query("PREPARE i AS " + denied)},
			want: []string{"ERROR 42501", "ready I"},
		},
		"DEALLOCATE ALL": {
			reason: "no name is left", ready: 3,
			send: []pgproto3.FrontendMessage{parse("j", allowed), syncNow, query("DEALLOCATE ALL"), bind("", "j"), execute(""), syncNow},
			want: []string{"ParseComplete", "ready I", "done DEALLOCATE ALL", "ready I", "ERROR 26000", "ready I"},
		},
		"Close": {
			reason: "no name is left", ready: 2,
			send: []pgproto3.FrontendMessage{parse("k", allowed), &pgproto3.Close{ObjectType: 'S', Name: "k"}, syncNow, bind("", "k"), syncNow},
			want: []string{"ParseComplete", "CloseComplete", "ready I", "ERROR 26000", "ready I"},
		},
		"portal keeps its statement": {
			reason: "a portal runs what it was bound to, whatever the name means later", ready: 1,
			send: []pgproto3.FrontendMessage{
				parse("", allowed), bind("p", ""), parse("", "SELECT 7"), bind("q", ""), execute("p"), execute("q"), syncNow,
			},
			want: []string{"ParseComplete", "BindComplete", "ParseComplete", "BindComplete", "row 10", "done SELECT 1", "row 7", "done SELECT 1", "ready I"},
		},
		"refusal in a batch": {
			reason: "what ran before it in the same implicit transaction is undone, as by every error", ready: 2,
			send: []pgproto3.FrontendMessage{
				parse("", "UPDATE public.orders SET total = 11 WHERE id = 1"), bind("", ""), execute(""), parse("", denied), syncNow, query(allowed),
			},
			want: []string{"ParseComplete", "BindComplete", "done UPDATE 1", "ERROR 42501", "ready I", "RowDescription", "row 10", "done SELECT 1", "ready I"},
		},
		"refusal in a transaction": {
			reason: "the transaction is aborted, as by every error", ready: 4,
			send: []pgproto3.FrontendMessage{query("BEGIN"), query(denied), query("SELECT 1"), query("ROLLBACK")},
			want: []string{"done BEGIN", "ready T", "ERROR 42501", "ready E", "ERROR 25P02", "ready E", "done ROLLBACK", "ready I"},
		},
		"multi-statement": {
			reason: "every statement is decided before any is forwarded", ready: 2,
			send: []pgproto3.FrontendMessage{query("UPDATE public.orders SET total = 12 WHERE id = 1; " + denied), query(allowed)},
			want: []string{"ERROR 42501", "ready I", "RowDescription", "row 10", "done SELECT 1", "ready I"},
		},
		"Query between Parse and Sync": {
			reason: "the target runs it, and so does the proxy decide it", ready: 2,
			send: []pgproto3.FrontendMessage{parse("l", allowed), query("SELECT 8"), bind("", "l"), execute(""), syncNow},
			want: []string{"ParseComplete", "RowDescription", "row 8", "done SELECT 1", "ready I", "BindComplete", "row 10", "done SELECT 1", "ready I"},
		},
		"Query in a failed segment": {
			reason: "skipped, as the target skips it", ready: 1,
			send: []pgproto3.FrontendMessage{parse("", "SELECT 1/0"), bind("", ""), execute(""), query("SELECT 9"), syncNow},
			want: []string{"ParseComplete", "ERROR 22012", "ready I"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, c.until(tc.ready)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			events := r.Log.OfType(record.OperationDecided)
			if last := events[len(events)-1].Operation.Statement; tc.last != "" && last != tc.last {
				t.Errorf("%s: decided %q, want %q", tc.reason, last, tc.last)
			}
		})
	}
	for statement, effect := range decided(r) {
		if strings.Contains(statement, "secrets") && effect != "Deny" {
			t.Errorf("%s: %s", effect, statement)
		}
	}
	log, err := server.Log()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "app=doorward:alice") && strings.Contains(line, "public.secrets") {
			t.Errorf("the target saw a refused statement: %s", line)
		}
	}
}
