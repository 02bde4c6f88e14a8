// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// raw is a client that says exactly what a test wants, in any order.
type raw struct {
	tb   testing.TB
	conn net.Conn
	fe   *pgproto3.Frontend
	key  *pgproto3.BackendKeyData
}

// dialTLS connects and takes the TLS handshake.
func dialTLS(tb testing.TB, r *protocoltest.Road, s *protocoltest.Server) net.Conn {
	tb.Helper()
	conn := dialPlain(tb, s)
	if _, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		tb.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'S' {
		tb.Fatalf("answer to SSLRequest: %q, %v", answer, err)
	}
	return tls.Client(conn, &tls.Config{RootCAs: r.RootCAs, ServerName: "localhost", MinVersion: tls.VersionTLS12})
}

func dialPlain(tb testing.TB, s *protocoltest.Server) net.Conn {
	tb.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(deadline(tb), "tcp", s.Address)
	if err != nil {
		tb.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// startupPacket makes a StartupMessage.
func startupPacket(version uint32, parameters ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range parameters {
		body = append(append(body, p...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// enter connects as far as ReadyForQuery.
func enter(tb testing.TB, r *protocoltest.Road, s *protocoltest.Server) *raw {
	tb.Helper()
	conn := dialTLS(tb, r, s)
	c := &raw{tb: tb, conn: conn, fe: pgproto3.NewFrontend(conn, conn)}
	c.write(startupPacket(196608, "user", "alice", "database", "shop"))
	if got := c.receive(); fmt.Sprintf("%T", got) != "*pgproto3.AuthenticationCleartextPassword" {
		tb.Fatalf("asked for the token with %T", got)
	}
	c.send(&pgproto3.PasswordMessage{Password: protocoltest.Token})
	for {
		switch m := c.receive().(type) {
		case *pgproto3.BackendKeyData:
			c.key = &pgproto3.BackendKeyData{ProcessID: m.ProcessID, SecretKey: append([]byte(nil), m.SecretKey...)}
		case *pgproto3.ReadyForQuery:
			return c
		case *pgproto3.ErrorResponse:
			tb.Fatalf("refused: %+v", m)
		}
	}
}

func (c *raw) write(b []byte) {
	c.tb.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.tb.Fatal(err)
	}
}

// send sends messages in one segment.
func (c *raw) send(messages ...pgproto3.FrontendMessage) {
	c.tb.Helper()
	for _, m := range messages {
		c.fe.Send(m)
	}
	if err := c.fe.Flush(); err != nil {
		c.tb.Fatal(err)
	}
}

func (c *raw) receive() pgproto3.BackendMessage {
	c.tb.Helper()
	m, err := c.fe.Receive()
	if err != nil {
		c.tb.Fatal(err)
	}
	return m
}

// until collects answers, in a short form, up to n ReadyForQuery or the end of
// the stream.
func (c *raw) until(ready int) []string {
	c.tb.Helper()
	var got []string
	for {
		m, err := c.fe.Receive()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "reset") {
				return append(got, "end")
			}
			c.tb.Fatalf("after %v: %v", got, err)
		}
		got = append(got, short(m))
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			ready--
			if ready == 0 {
				return got
			}
		}
	}
}

// short is a message in one word and what matters of it.
func short(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return m.Severity + " " + m.Code
	case *pgproto3.ReadyForQuery:
		return "ready " + string(m.TxStatus)
	case *pgproto3.DataRow:
		values := make([]string, 0, len(m.Values))
		for _, v := range m.Values {
			if v == nil {
				values = append(values, "NULL")
			} else {
				values = append(values, string(v))
			}
		}
		return "row " + strings.Join(values, "|")
	case *pgproto3.CommandComplete:
		return "done " + string(m.CommandTag)
	case *pgproto3.NoticeResponse:
		return "notice " + m.Code
	case *pgproto3.NegotiateProtocolVersion:
		return fmt.Sprintf("NegotiateProtocolVersion %d %s", m.NewestMinorProtocol, m.UnrecognizedOptions)
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	}
}
