// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// digest is a password as AuthenticationMD5Password asks for it.
var digest = regexp.MustCompile(`md5[0-9a-f]{32}`)

// impostor stands where a target should be, without TLS, and greets as the test
// wants. It keeps all that it is told.
type impostor struct {
	greet func(be *pgproto3.Backend, conn net.Conn)
	mu    sync.Mutex
	heard bytes.Buffer
}

func (i *impostor) Write(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.heard.Write(b)
}

func (i *impostor) serve(ln net.Listener) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer conn.Close()
			r := io.TeeReader(conn, i)
			be := pgproto3.NewBackend(r, conn)
			if _, err := be.ReceiveStartupMessage(); err != nil {
				return
			}
			i.greet(be, conn)
			// Whatever else it is told, until the proxy leaves.
			_, _ = io.Copy(io.Discard, r)
		})
	}
}

// TestRogueGreeting is checklist 14, 16 and 19 before a session begins: an
// impostor learns neither the password nor anything to guess it by, keeps
// nobody waiting, and what it says reaches no client.
func TestRogueGreeting(t *testing.T) {
	say := func(messages ...pgproto3.BackendMessage) func(*pgproto3.Backend, net.Conn) {
		return func(be *pgproto3.Backend, _ net.Conn) {
			for _, m := range messages {
				be.Send(m)
			}
			_ = be.Flush()
		}
	}
	sasl := &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}
	// scram goes on with the client's own nonce, as only a live impostor can.
	scram := func(rest string, then ...pgproto3.BackendMessage) func(*pgproto3.Backend, net.Conn) {
		return func(be *pgproto3.Backend, conn net.Conn) {
			say(sasl)(be, conn)
			_ = be.SetAuthType(pgproto3.AuthTypeSASL)
			m, err := be.Receive()
			if err != nil {
				return
			}
			first, ok := m.(*pgproto3.SASLInitialResponse)
			if !ok {
				return
			}
			_, nonce, _ := strings.Cut(string(first.Data), "r=")
			say(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=" + nonce + "rogue" + rest)})(be, conn)
			_ = be.SetAuthType(pgproto3.AuthTypeSASLContinue)
			if _, err := be.Receive(); err == nil {
				say(then...)(be, conn)
			}
		}
	}
	salt := ",s=" + base64.StdEncoding.EncodeToString([]byte("salt"))
	endless := func(m pgproto3.BackendMessage) func(*pgproto3.Backend, net.Conn) {
		return func(be *pgproto3.Backend, _ net.Conn) {
			for {
				be.Send(m)
				if be.Flush() != nil {
					return
				}
			}
		}
	}
	for name, greet := range map[string]func(*pgproto3.Backend, net.Conn){
		"asks for the password":   say(&pgproto3.AuthenticationCleartextPassword{}),
		"asks for a digest of it": say(&pgproto3.AuthenticationMD5Password{}),
		"asks for a ticket":       say(&pgproto3.AuthenticationGSS{}),
		"unknown mechanisms":      say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"PLAIN", "OAUTHBEARER"}}),
		"no mechanism":            say(&pgproto3.AuthenticationSASL{}),
		"endless notices":         endless(&pgproto3.NoticeResponse{Message: "rogue"}),
		"endless requests":        endless(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}),
		"a large message":         say(&pgproto3.NoticeResponse{Message: strings.Repeat("rogue", 100_000)}),
		"an error":                say(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "rogue says: no " + service}),
		"asks for a file":         say(&pgproto3.AuthenticationOk{}, &pgproto3.CopyInResponse{}),
		"sends rows":              say(&pgproto3.AuthenticationOk{}, &pgproto3.DataRow{Values: [][]byte{[]byte("rogue")}}),
		"little work to guess it": scram(salt + ",i=1"),
		"endless work":            scram(salt + ",i=2000000000"),
		"does not prove itself":   scram(salt+",i=4096", &pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"proves itself falsely":   scram(salt+",i=4096", &pgproto3.AuthenticationSASLFinal{Data: []byte("v=cm9ndWU=")}, &pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"hangs up":                func(_ *pgproto3.Backend, conn net.Conn) { _ = conn.Close() },
		"another version":         say(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 131072}, &pgproto3.AuthenticationOk{}),
		"garbage":                 func(_ *pgproto3.Backend, conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 rogue\r\n\r\n")) },
		"escapes, at once":        say(&pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "off"}, &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.DataRow{}),
		"a million cancel keys": func(be *pgproto3.Backend, c net.Conn) {
			say(&pgproto3.AuthenticationOk{})(be, c)
			endless(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte("rogue")})(be, c)
		},
		"a notification, at first": say(&pgproto3.NotificationResponse{Channel: "rogue"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var listen net.ListenConfig
			ln, err := listen.Listen(deadline(t), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			i := &impostor{greet: greet}
			stopped := make(chan struct{})
			go func() { defer close(stopped); i.serve(ln) }()
			t.Cleanup(func() { _ = ln.Close(); <-stopped })
			r, s := leading(t, `{"databases":["shop"]}`, []snapshot.Target{{Host: "127.0.0.1", Port: int32(ln.Addr().(*net.TCPAddr).Port)}}, "", func(c *protocoltest.Config) {
				c.TLS = snapshot.TLS{Mode: "Disabled"}
			})
			_, err = where(t, r, s)
			var failure *pgconn.PgError
			if !errors.As(err, &failure) || failure.Code != "57P03" || strings.Contains(err.Error(), "rogue") || strings.Contains(err.Error(), service) {
				t.Errorf("the client is told %v", err)
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			if heard := i.heard.String(); strings.Contains(heard, canary) || digest.MatchString(heard) {
				t.Errorf("the impostor heard %q", heard)
			} else if strings.Contains(heard, ",p=") && !strings.Contains(name, "proves") && !strings.Contains(name, "prove") {
				t.Errorf("the impostor got a proof to guess by: %q", heard)
			}
		})
	}
}
