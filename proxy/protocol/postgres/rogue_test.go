// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// rogue stands before a real target and puts bytes before its answer to the
// statement that asks for it.
type rogue struct {
	target string
	insert atomic.Pointer[[]byte]
}

const trigger = "SELECT 'now'"

func (r *rogue) serve(ln net.Listener) {
	var relays sync.WaitGroup
	defer relays.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = conn.Close()
			continue
		}
		var armed atomic.Bool
		both := func() { _ = conn.Close(); _ = up.Close() }
		relays.Go(func() {
			defer both()
			pass(up, conn, func(b []byte) []byte {
				if bytes.Contains(b, []byte(trigger)) {
					armed.Store(true)
				}
				return b
			})
		})
		relays.Go(func() {
			defer both()
			pass(conn, up, func(b []byte) []byte {
				if armed.Swap(false) {
					return append(append([]byte(nil), *r.insert.Load()...), b...)
				}
				return b
			})
		})
	}
}

func pass(dst io.Writer, src io.Reader, edit func([]byte) []byte) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := src.Read(buffer)
		if n > 0 {
			if _, err := dst.Write(edit(buffer[:n])); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestRogueTarget is checklist 19: a target that does not keep to the protocol
// ends the session; nothing that it had no right to say reaches the client.
func TestRogueTarget(t *testing.T) {
	plain := pgtest.StartT(t, pgtest.Options{WithoutTLS: true})
	if err := plain.Exec(deadline(t), "CREATE ROLE "+service+" LOGIN PASSWORD '"+canary+"'", "CREATE DATABASE shop"); err != nil {
		t.Fatal(err)
	}
	var listen net.ListenConfig
	ln, err := listen.Listen(deadline(t), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, dsnRest, _ := strings.Cut(plain.DSN(service, canary, "shop"), "port=")
	port, _, _ := strings.Cut(dsnRest, " ")
	r := &rogue{target: net.JoinHostPort(plain.Host, port)}
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.serve(ln) }()
	t.Cleanup(func() { _ = ln.Close(); <-stopped })

	message := func(m interface{ Encode([]byte) ([]byte, error) }) []byte {
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, bytes := range map[string][]byte{
		"one more statement":    append(message(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}), message(&pgproto3.CommandComplete{CommandTag: []byte("DELETE 5")})...),
		"row out of turn":       message(&pgproto3.DataRow{Values: [][]byte{[]byte("rogue")}}),
		"asks for the password": message(&pgproto3.AuthenticationCleartextPassword{}),
		"new cancel key":        message(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}),
		"asks for a file":       message(&pgproto3.CopyInResponse{}),
		"copies out":            message(&pgproto3.CopyData{Data: []byte("rogue")}),
		"both ways":             message(&pgproto3.CopyBothResponse{}),
		"function result":       message(&pgproto3.FunctionCallResponse{Result: []byte("rogue")}),
		"ready too early":       message(&pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"parse never asked for": message(&pgproto3.ParseComplete{}),
		"unknown type":          {'?', 0, 0, 0, 4},
		"length 0":              {'N', 0, 0, 0, 0},
		"length 2^31-1":         {'T', 0x7f, 0xff, 0xff, 0xff},
		"length 2^32-1":         {'D', 0xff, 0xff, 0xff, 0xff},
		"turns escapes on":      message(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "off"}),
		"turns the encoding":    message(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "SJIS"}),
		"becomes somebody else": message(&pgproto3.ParameterStatus{Name: "session_authorization", Value: "postgres"}),
	} {
		t.Run(name, func(t *testing.T) {
			r.insert.Store(&bytes)
			g, s := road(t, func(c *protocoltest.Config) {
				c.TLS = snapshot.TLS{Mode: "Disabled"}
				addr := ln.Addr().(*net.TCPAddr)
				c.Target = snapshot.Target{Host: "127.0.0.1", Port: int32(addr.Port)}
			})
			c := enter(t, g, s)
			c.send(query(trigger))
			got := c.until(1)
			if len(got) < 2 || got[len(got)-1] != "end" || !strings.HasPrefix(got[len(got)-2], "FATAL ") {
				t.Errorf("the session went on: %v", got)
			}
			if strings.Contains(strings.Join(got, ","), "rogue") || len(got) > 3 {
				t.Errorf("the client saw %v", got)
			}
			g.Log.Await(deadline(t), t, "session end", func(e record.Event) bool { return e.Type == record.SessionEnd })
		})
	}
}
