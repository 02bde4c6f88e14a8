// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// fuzzTexts are what fuzzed sessions send. Each is told by its text; deniedText
// must never run.
var fuzzTexts = []string{
	"SELECT 101", "SELECT i, 102 FROM generate_series(1, 5) i", "SELECT $1::int + 103", "SELECT 1 / 0 + 104", "BEGIN WORK", "COMMIT WORK", "ROLLBACK WORK",
	"SELECT id, 105 FROM public.orders ORDER BY id LIMIT 3", "INSERT INTO public.fuzzed (id) VALUES (106)", "COPY public.fuzzed FROM STDIN",
	"COPY (SELECT 107) TO STDOUT", "SAVEPOINT a", "ROLLBACK TO a", "DECLARE c CURSOR FOR SELECT 108", "FETCH 1 FROM c", "PREPARE s1 AS SELECT 109",
	"EXECUTE s1", "DEALLOCATE ALL", "DISCARD ALL", "SELECT nosuch + 110", "", "SELECT 'unfinished", deniedText, "SET TIME ZONE 'UTC'",
}

const deniedText = "DELETE FROM public.orders WHERE id = 111"

// script turns bytes into messages, and into the places where they are cut.
func script(data []byte) (messages []pgproto3.FrontendMessage, cuts []int) {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	names := []string{"", "s1", "s2"}
	for len(data) > 0 && len(messages) < 48 {
		op, arg := next(), next()
		name, text := names[arg%3], fuzzTexts[arg%len(fuzzTexts)]
		switch op % 14 {
		case 0:
			messages = append(messages, &pgproto3.Query{String: text})
		case 1:
			messages = append(messages, &pgproto3.Query{String: text + "; " + fuzzTexts[next()%len(fuzzTexts)]})
		case 2, 3:
			messages = append(messages, &pgproto3.Parse{Name: name, Query: fuzzTexts[next()%len(fuzzTexts)]})
		case 4, 5:
			bind := &pgproto3.Bind{DestinationPortal: names[next()%3], PreparedStatement: name, ResultFormatCodes: []int16{int16(arg & 1)}}
			if arg&4 != 0 {
				bind.Parameters = [][]byte{[]byte("7")}
			}
			messages = append(messages, bind)
		case 6, 7:
			messages = append(messages, &pgproto3.Execute{Portal: name, MaxRows: uint32(next() % 3)})
		case 8:
			messages = append(messages, &pgproto3.Describe{ObjectType: "SP"[arg/3%2], Name: name})
		case 9:
			messages = append(messages, &pgproto3.Close{ObjectType: "SP"[arg/3%2], Name: name})
		case 10:
			messages = append(messages, &pgproto3.Sync{})
		case 11:
			messages = append(messages, &pgproto3.Flush{})
		case 12:
			messages = append(messages, []pgproto3.FrontendMessage{
				&pgproto3.CopyData{Data: []byte("7\n")}, &pgproto3.CopyDone{}, &pgproto3.CopyFail{Message: "no"},
			}[arg%3])
		default:
			cuts = append(cuts, arg)
		}
	}
	return append(messages, &pgproto3.Sync{}, &pgproto3.Terminate{}), cuts
}

// FuzzSession says anything that a client can say, cut anywhere, in front of a
// real server: what reaches it was decided and recorded before, what is denied
// does not, and the session comes to its end.
func FuzzSession(f *testing.F) {
	for _, seed := range [][]byte{
		{},
		{0, 0, 0, 7},
		{2, 0, 0, 4, 0, 0, 6, 0, 0, 10, 0},
		{2, 1, 1, 4, 1, 1, 6, 1, 2, 6, 1, 0, 10, 0, 9, 1},
		{0, 4, 2, 1, 3, 4, 1, 0, 6, 0, 0, 10, 0, 0, 6},
		{0, 9, 12, 0, 12, 1},
		{2, 0, 9, 4, 0, 0, 6, 0, 0, 12, 0, 12, 2, 10, 0},
		{0, 22, 2, 0, 22, 4, 0, 0, 6, 0, 0},
		{1, 0, 22},
		{2, 1, 0, 10, 0, 0, 15, 0, 16},
		{0, 4, 0, 13, 0, 14, 0, 11, 0, 12, 0, 5},
		{13, 1, 13, 2, 13, 3, 2, 2, 2, 4, 6, 0, 8, 0, 6, 0, 0, 11, 0, 10, 0},
		{2, 0, 0, 2, 0, 7, 4, 0, 0, 6, 0, 0, 3, 0, 19, 6, 0, 0, 10, 0},
	} {
		f.Add(seed)
	}
	plain := pgtest.StartT(f, pgtest.Options{WithoutTLS: true})
	if err := plain.Exec(deadline(f), "CREATE ROLE "+service+" LOGIN PASSWORD '"+canary+"'", "CREATE DATABASE shop OWNER "+service); err != nil {
		f.Fatal(err)
	}
	if err := prepareFuzzed(plain); err != nil {
		f.Fatal(err)
	}
	log := &countingLog{decided: map[string]int{}}
	tap := newWitness(f, net.JoinHostPort(plain.Host, strconv.Itoa(plain.Port)), log)
	r, s := road(f, func(c *protocoltest.Config) {
		c.TLS, c.Log = snapshot.TLS{Mode: "Disabled"}, log
		c.Target = snapshot.Target{Host: "127.0.0.1", Port: int32(tap.listener.Addr().(*net.TCPAddr).Port)}
	})
	r.Engine.Set(protocoltest.DenyAction("delete"))
	r.Apply(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, cuts := script(data)
		var stream []byte
		for _, m := range messages {
			var err error
			if stream, err = m.Encode(stream); err != nil {
				t.Fatal(err)
			}
		}
		c := enter(t, r, s)
		_ = c.conn.SetDeadline(time.Now().Add(30 * time.Second))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for len(stream) > 0 {
				n := len(stream)
				if len(cuts) > 0 {
					n, cuts = min(n, 1+cuts[0]), cuts[1:]
				}
				if _, err := c.conn.Write(stream[:n]); err != nil {
					return // the session has ended
				}
				stream = stream[n:]
			}
		}()
		_, err := io.Copy(io.Discard, c.conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the session does not end: %+v", messages)
		}
		_ = c.conn.Close()
		<-done
		for _, finding := range tap.findings() {
			t.Error(finding)
		}
	})
}

func prepareFuzzed(s *pgtest.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(pgtest.Superuser, s.Password, "shop"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `CREATE TABLE public.orders (id int PRIMARY KEY); INSERT INTO public.orders SELECT generate_series(1, 200);
		CREATE TABLE public.fuzzed (id int); GRANT ALL ON ALL TABLES IN SCHEMA public TO `+service)
	return err
}

// runBy stands between what a statement runs and the statement itself.
const runBy = " -- run by: "

// countingLog counts the decisions that let a statement through, by its text.
type countingLog struct {
	mu      sync.Mutex
	decided map[string]int
}

func (l *countingLog) note(e record.Event) {
	if e.Type != record.OperationDecided || e.Decision.Effect != policy.Allow {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text := e.Operation.Statement
	if at := strings.LastIndex(text, runBy); at >= 0 {
		text = text[at+len(runBy):]
	}
	l.decided[text]++
}

func (l *countingLog) Append(_ context.Context, e record.Event) (record.Position, error) {
	l.note(e)
	return record.Position{}, nil
}

func (l *countingLog) Begin(_ context.Context, e record.Event) (record.Pending, error) {
	l.note(e)
	return l, nil
}

func (l *countingLog) Wait(context.Context) (record.Position, error) { return record.Position{}, nil }

func (l *countingLog) AppendLater(e record.Event) error {
	l.note(e)
	return nil
}

// take uses a decision up.
func (l *countingLog) take(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decided[text]--
	return l.decided[text] >= 0
}

// witness stands before the target and reads what it is told.
type witness struct {
	listener net.Listener
	target   string
	log      *countingLog

	mu    sync.Mutex
	found []string
}

func newWitness(f *testing.F, target string, log *countingLog) *witness {
	f.Helper()
	var listen net.ListenConfig
	ln, err := listen.Listen(f.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	w := &witness{listener: ln, target: target, log: log}
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.serve() }()
	f.Cleanup(func() { _ = ln.Close(); <-stopped })
	return w
}

func (w *witness) findings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.found
	w.found = nil
	return out
}

func (w *witness) serve() {
	var relays sync.WaitGroup
	defer relays.Wait()
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = conn.Close()
			continue
		}
		both := func() { _ = conn.Close(); _ = up.Close() }
		relays.Go(func() { defer both(); w.watch(up, conn) })
		relays.Go(func() { defer both(); _, _ = io.Copy(conn, up) })
	}
}

// watch passes messages on once they were checked.
func (w *witness) watch(up io.Writer, conn io.Reader) {
	statements, portals := map[string]string{}, map[string]string{}
	header := make([]byte, 5)
	for first := true; ; first = false {
		head := header
		if first {
			head = header[1:] // a startup packet has no type
		}
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		if !first {
			w.check(header[0], body, statements, portals)
		}
		if _, err := up.Write(append(append([]byte(nil), head...), body...)); err != nil {
			return
		}
	}
}

func (w *witness) check(kind byte, body []byte, statements, portals map[string]string) {
	one, rest, _ := bytes.Cut(body, []byte{0})
	two, _, _ := bytes.Cut(rest, []byte{0})
	switch kind {
	case 'Q':
		for part := range strings.SplitSeq(string(one), ";") {
			w.runs(strings.TrimSpace(part))
		}
	case 'P':
		statements[string(one)] = string(two)
	case 'B':
		portals[string(one)] = statements[string(two)]
	case 'E':
		w.runs(portals[string(one)])
	}
}

// runs is told of each statement that the target is to run. A portal that goes on
// after its rows were cut is decided again.
func (w *witness) runs(text string) {
	ours := false
	for _, t := range fuzzTexts {
		ours = ours || t == text && t != ""
	}
	if !ours {
		return // the proxy's own, which are tested elsewhere
	}
	if text == deniedText || !w.log.take(text) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.found = append(w.found, "reached the target without a decision: "+text)
	}
}
