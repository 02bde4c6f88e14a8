// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

func TestPgx(t *testing.T) {
	r, s := road(t)
	ctx := deadline(t)
	for name, mode := range map[string]pgx.QueryExecMode{
		"cache statement": pgx.QueryExecModeCacheStatement, "cache describe": pgx.QueryExecModeCacheDescribe,
		"describe": pgx.QueryExecModeDescribeExec, "exec": pgx.QueryExecModeExec, "simple": pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(name, func(t *testing.T) {
			conn := client(t, r, s, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode })
			for i := range 3 {
				var total int
				if err := conn.QueryRow(ctx, "SELECT total FROM public.orders WHERE id = $1", 5).Scan(&total); err != nil || total != 50 {
					t.Fatalf("run %d: %d, %v", i, total, err)
				}
			}
			var batch pgx.Batch
			for i := range 20 {
				batch.Queue("SELECT $1::int + id FROM public.orders WHERE id = 1", i)
			}
			results := conn.SendBatch(ctx, &batch)
			for i := range 20 {
				var got int
				if err := results.QueryRow().Scan(&got); err != nil || got != i+1 {
					t.Fatalf("batch %d: %d, %v", i, got, err)
				}
			}
			if err := results.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	// The modes come in any order, and the simple one binds nothing.
	decided := r.Log.OfType(record.OperationDecided)
	if !slices.ContainsFunc(decided, func(e record.Event) bool { return e.Operation.Parameters == 1 }) {
		t.Errorf("no bound parameter is on record: %+v", decided[0].Operation)
	}
}

func TestCopy(t *testing.T) {
	r, s := road(t)
	ctx := deadline(t)
	conn := client(t, r, s)
	if _, err := conn.Exec(ctx, "CREATE TABLE public.bulk (id int PRIMARY KEY, word text)"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := conn.Exec(ctx, "DROP TABLE public.bulk"); err != nil {
			t.Error(err)
		}
	}()
	rows := make([][]any, 5000)
	for i := range rows {
		rows[i] = []any{i, strings.Repeat("x", i%50)}
	}
	if n, err := conn.CopyFrom(ctx, pgx.Identifier{"public", "bulk"}, []string{"id", "word"}, pgx.CopyFromRows(rows)); err != nil || n != 5000 {
		t.Fatalf("COPY FROM: %d, %v", n, err)
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"public", "bulk"}, []string{"id", "word"}, pgx.CopyFromRows(rows[:10])); err == nil {
		t.Fatal("COPY FROM of a duplicate key succeeded")
	}
	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &out, "COPY public.bulk TO STDOUT")
	if err != nil || tag.RowsAffected() != 5000 || bytes.Count(out.Bytes(), []byte("\n")) != 5000 {
		t.Fatalf("COPY TO: %v, %v", tag, err)
	}
	if _, err := conn.Exec(ctx, "SELECT 1"); err != nil {
		t.Fatalf("after COPY: %v", err)
	}
	// Through the extended protocol, with the early Sync that libpq sends.
	c := enter(t, r, s)
	c.send(parse("", "COPY public.bulk FROM STDIN"), bind("", ""), execute(""), syncNow)
	for _, want := range []string{"ParseComplete", "BindComplete", "CopyInResponse"} {
		if got := short(c.receive()); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	c.send(&pgproto3.CopyData{Data: []byte("7000\tseven\n")}, &pgproto3.CopyDone{}, syncNow)
	if diff := cmp.Diff([]string{"done COPY 1", "ready I"}, c.until(1)); diff != "" {
		t.Errorf("extended COPY (-want +got):\n%s", diff)
	}
	c.send(query("COPY public.bulk FROM STDIN; SELECT count(*) FROM public.bulk"))
	if got := short(c.receive()); got != "CopyInResponse" {
		t.Fatalf("got %s", got)
	}
	c.send(&pgproto3.CopyFail{Message: "no more"}, query("SELECT 4"))
	if diff := cmp.Diff([]string{"ERROR 57014", "ready I", "RowDescription", "row 4", "done SELECT 1", "ready I"}, c.until(2)); diff != "" {
		t.Errorf("failed COPY (-want +got):\n%s", diff)
	}
	for _, e := range r.Log.OfType(record.OperationResult) {
		if e.Result.Rows == 5000 && e.Result.Outcome == "Succeeded" {
			return
		}
	}
	t.Error("the rows of COPY are not on record")
}

// TestCancel is checklist 16: keys are the proxy's own, and end with the session.
func TestCancel(t *testing.T) {
	r, s := road(t)
	conn := low(t, r, s)
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	go func() {
		r.Log.Await(deadline(t), t, "decision", func(e record.Event) bool {
			return e.Type == record.OperationDecided && strings.Contains(e.Operation.Statement, "pg_sleep")
		})
		for ctx.Err() == nil {
			if err := conn.CancelRequest(ctx); err != nil {
				return
			}
		}
	}()
	_, err := conn.Exec(ctx, "SELECT pg_sleep(30)").ReadAll()
	var failure *pgconn.PgError
	if !errors.As(err, &failure) || failure.Code != "57014" {
		t.Fatalf("canceled statement: %v", err)
	}
	cancel()

	// A listener of its own, whose bound on cancel requests is not used up.
	r, s = road(t)
	one, two := enter(t, r, s), enter(t, r, s)
	if one.key.ProcessID == two.key.ProcessID {
		t.Error("two sessions have one key")
	}
	two.send(query("SELECT pg_sleep(0.3)"))
	for name, key := range map[string]*pgproto3.CancelRequest{
		"wrong secret":            {ProcessID: two.key.ProcessID, SecretKey: one.key.SecretKey},
		"another session's key":   {ProcessID: one.key.ProcessID, SecretKey: one.key.SecretKey},
		"key of a wrong length":   {ProcessID: two.key.ProcessID, SecretKey: append(two.key.SecretKey, 0)},
		"key of nobody's session": {ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}},
	} {
		packet, err := key.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		plain := dialPlain(t, s)
		if _, err := plain.Write(packet); err != nil {
			t.Fatal(name, err)
		}
		if n, err := plain.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: the answer to a cancel request must be silence", name)
		}
	}
	if got := two.until(1); got[len(got)-2] != "done SELECT 1" {
		t.Errorf("a foreign key canceled: %v", got)
	}
	if n := len(r.Log.OfType(record.AuthenticationFailed)); n != 3 {
		t.Errorf("%d unknown keys on record, want 3", n)
	}
}

func TestHold(t *testing.T) {
	r, s := road(t)
	r.Engine.Set(protocoltest.HoldAction("update"))
	r.Apply(t)
	const update = "UPDATE public.orders SET total = total WHERE id = 2"
	ctx := deadline(t)

	for name, mode := range map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "extended": pgx.QueryExecModeCacheStatement} {
		t.Run(name+" approved", func(t *testing.T) {
			notices := make(chan *pgconn.Notice, 1)
			conn := client(t, r, s, func(c *pgx.ConnConfig) {
				c.DefaultQueryExecMode = mode
				c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices <- n }
			})
			done := make(chan error, 1)
			go func() { _, err := conn.Exec(ctx, update); done <- err }()
			pending := <-r.Approvals.Asked
			// The notice comes before the answer: the client reads it while it waits.
			pending.Approve()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			notice := <-notices
			request := pending.Request()
			want := "kubectl -n shop patch approvalrequest " + request.Name + ` --type=json -p '[{"op":"test","path":"/metadata/uid","value":"` +
				request.UID + `"},{"op":"add","path":"/spec/decisions/-","value":{"verdict":"Approve","operationDigest":"` + request.Digest + `"}}]'`
			if !strings.HasSuffix(notice.Hint, want) {
				t.Errorf("hint: %s\nwant: %s", notice.Hint, want)
			}
			var patch []any
			_, body, _ := strings.Cut(strings.TrimSuffix(notice.Hint, "'"), "-p '")
			if err := json.Unmarshal([]byte(body), &patch); err != nil || len(patch) != 2 {
				t.Errorf("the patch is not JSON: %v", err)
			}
			if !strings.Contains(notice.Message, "waits for approval until") {
				t.Errorf("notice: %s", notice.Message)
			}
		})
	}
	t.Run("notice is flushed while held, denial goes on", func(t *testing.T) {
		c := enter(t, r, s)
		c.send(query(update))
		pending := <-r.Approvals.Asked
		if got := short(c.receive()); got != "notice 01000" {
			t.Fatalf("got %s", got)
		}
		pending.Deny("not on a Friday")
		if diff := cmp.Diff([]string{"ERROR 42501", "ready I"}, c.until(1)); diff != "" {
			t.Error(diff)
		}
		c.send(query("SELECT 1"))
		if got := c.until(1); len(got) != 4 {
			t.Errorf("after a denial: %v", got)
		}
	})
	t.Run("what is sent while held is kept", func(t *testing.T) {
		c := enter(t, r, s)
		c.send(query(update))
		pending := <-r.Approvals.Asked
		if got := short(c.receive()); got != "notice 01000" {
			t.Fatalf("got %s", got)
		}
		c.send(query("SELECT 6"))
		pending.Approve()
		if diff := cmp.Diff([]string{"done UPDATE 1", "ready I", "RowDescription", "row 6", "done SELECT 1", "ready I"}, c.until(2)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("canceled while held", func(t *testing.T) {
		conn := low(t, r, s)
		done := make(chan error, 1)
		go func() { _, err := conn.Exec(ctx, update).ReadAll(); done <- err }()
		pending := <-r.Approvals.Asked
		var failure *pgconn.PgError
		for failure == nil {
			if err := conn.CancelRequest(ctx); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if !errors.As(err, &failure) || failure.Code != "57014" {
					t.Fatalf("canceled while held: %v", err)
				}
			default:
			}
		}
		<-pending.Withdrawn
	})
	t.Run("client leaves while held", func(t *testing.T) {
		c := enter(t, r, s)
		c.send(query(update))
		pending := <-r.Approvals.Asked
		_ = c.conn.Close()
		<-pending.Withdrawn
	})
	t.Run("session ends while held", func(t *testing.T) {
		c := enter(t, r, s)
		c.send(query(update))
		pending := <-r.Approvals.Asked
		if got := short(c.receive()); got != "notice 01000" {
			t.Fatalf("got %s", got)
		}
		r.Gate.Terminate(pending.Question.Session, "because")
		got := c.until(1)
		if diff := cmp.Diff([]string{"FATAL 57P01", "end"}, got); diff != "" {
			t.Error(diff)
		}
		<-pending.Withdrawn
	})
}

// TestSessionEnd ends sessions in every state; each is told why, within a second on a machine
// that is not busy.
func TestSessionEnd(t *testing.T) {
	r, s := road(t)
	tests := map[string]struct {
		send []pgproto3.FrontendMessage
		want string
	}{
		"idle":           {},
		"busy":           {send: []pgproto3.FrontendMessage{query("SELECT pg_sleep(30)")}},
		"in transaction": {send: []pgproto3.FrontendMessage{query("BEGIN")}},
		"in COPY":        {send: []pgproto3.FrontendMessage{query("COPY public.orders FROM STDIN")}},
		"does not read":  {send: []pgproto3.FrontendMessage{query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			starts := r.Log.OfType(record.SessionStart)
			session := starts[len(starts)-1].Session
			if tc.send != nil {
				c.send(tc.send...)
				r.Log.Await(deadline(t), t, "decision", func(e record.Event) bool {
					return e.Type == record.OperationDecided && e.Session == session
				})
			}
			if name == "does not read" {
				if got := short(c.receive()); got != "RowDescription" {
					t.Fatal(got)
				}
			}
			began := time.Now()
			if !r.Gate.Terminate(session, "because") {
				t.Fatal("no such session")
			}
			r.Log.Await(deadline(t), t, "session end", func(e record.Event) bool {
				return e.Type == record.SessionEnd && e.Session == session && strings.Contains(e.Reason, "because")
			})
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the session ended after %v", took)
			}
			if name == "does not read" {
				return
			}
			got := c.until(9)
			if got[len(got)-2] != "FATAL 57P01" {
				t.Errorf("the client was told %v", got)
			}
		})
	}
	// Nothing runs on at the target.
	conn, err := pgx.Connect(deadline(t), server.SuperuserDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for {
		var running int
		if err := conn.QueryRow(deadline(t), "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'doorward:alice%' AND state = 'active'").Scan(&running); err != nil {
			t.Fatal(err)
		}
		if running == 0 {
			break
		}
	}
	t.Run("the server drains", func(t *testing.T) {
		c := enter(t, r, s)
		s.Stop(t, access.ErrDraining)
		if diff := cmp.Diff([]string{"FATAL 57P01", "end"}, c.until(1)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRevoked: a policy that goes away ends the session.
func TestRevoked(t *testing.T) {
	r, s := road(t)
	c := enter(t, r, s)
	r.Engine.RefuseConnect()
	r.Apply(t)
	if diff := cmp.Diff([]string{"FATAL 57P01", "end"}, c.until(1)); diff != "" {
		t.Error(diff)
	}
}
