// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/relay"
)

// TestSplice: bytes go both ways until both sides have ended; and where one side breaks, or the
// context ends, nobody waits for the other, who has said nothing.
func TestSplice(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		end    func(t *testing.T, client, target net.Conn, cancel context.CancelCauseFunc)
		fails  bool
	}{
		"BothEnd": {reason: "each has said all", end: func(t *testing.T, client, target net.Conn, _ context.CancelCauseFunc) {
			t.Helper()
			half(t, client)
			if _, err := target.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the target was not told of the client's end: %v", err)
			}
			half(t, target)
		}},
		"ClientBreaks": {reason: "the client is gone, and the target waits for it", fails: true, end: func(t *testing.T, client, _ net.Conn, _ context.CancelCauseFunc) {
			t.Helper()
			reset(t, client)
		}},
		"TargetBreaks": {reason: "the target is gone, and the client waits for it", fails: true, end: func(t *testing.T, _, target net.Conn, _ context.CancelCauseFunc) {
			t.Helper()
			reset(t, target)
		}},
		"CancelledAfterHalf": {reason: "the client has said all, and nobody wants the answer any more", fails: true, end: func(t *testing.T, client, target net.Conn, cancel context.CancelCauseFunc) {
			t.Helper()
			half(t, client)
			if _, err := target.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the target was not told of the client's end: %v", err)
			}
			cancel(errBoom)
		}},
		"Cancelled": {reason: "nobody wants it any more", fails: true, end: func(_ *testing.T, _, _ net.Conn, cancel context.CancelCauseFunc) { cancel(errBoom) }},
	} {
		t.Run(name, func(t *testing.T) {
			client, a := tcpPair(t)
			b, target := tcpPair(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			over := make(chan error, 1)
			go func() { over <- relay.Splice(ctx, a, b) }()
			for _, way := range [][2]net.Conn{{client, target}, {target, client}} {
				got := make([]byte, 2)
				if _, err := way[0].Write([]byte("hi")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(way[1], got); err != nil || string(got) != "hi" {
					t.Fatalf("%q, %v", got, err)
				}
			}
			tc.end(t, client, target, cancel)
			select {
			case err := <-over:
				if (err != nil) != tc.fails {
					t.Errorf("%s: %v", tc.reason, err)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s: it goes on", tc.reason)
			}
		})
	}
}

// half says that nothing more comes.
func half(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := relay.CloseWrite(conn); err != nil {
		t.Fatal(err)
	}
}

// reset breaks a connection, as a program does that was killed with something unread.
func reset(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}
