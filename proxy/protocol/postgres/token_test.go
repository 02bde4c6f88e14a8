// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

var providers = []snapshot.IdentityProvider{
	{Name: "staff", Type: "OIDC", OIDC: &snapshot.OIDC{IssuerURL: "https://staff.example.com/realms/one"}},
	{Name: "ci", Type: "OIDC", OIDC: &snapshot.OIDC{IssuerURL: "https://ci.example.com"}},
}

func withOptions(options string) func(*protocoltest.Config) {
	return func(c *protocoltest.Config) { c.Options, c.IdentityProviders = []byte(options), providers }
}

// offered is the first thing the server says to a startup message.
func offered(t *testing.T, r *protocoltest.Road, s *protocoltest.Server, parameters ...string) *raw {
	t.Helper()
	conn := dialTLS(t, r, s)
	c := &raw{tb: t, conn: conn, fe: pgproto3.NewFrontend(conn, conn)}
	c.write(startupPacket(196608, append([]string{"user", "alice", "database", "shop"}, parameters...)...))
	return c
}

// TestAuthenticationOffer: the server speaks first, and offers what the
// Connection says, or else what the client says it takes.
func TestAuthenticationOffer(t *testing.T) {
	const password, oauth = "AuthenticationCleartextPassword", "AuthenticationSASL"
	for name, tc := range map[string]struct {
		option     string
		parameters []string
		want       string
	}{
		"unset":                         {want: password},
		"password":                      {option: "Password", want: password},
		"oauth":                         {option: "OAuth", want: oauth},
		"client wants OAuth":            {parameters: []string{"options", "-c doorward.authentication=oauth"}, want: oauth},
		"client wants a password":       {option: "OAuth", parameters: []string{"options", "-cdoorward.authentication=password"}, want: password},
		"client says so as a parameter": {parameters: []string{"doorward.authentication", "OAuth"}, want: oauth},
		"client wants what is not":      {parameters: []string{"options", "-c doorward.authentication=kerberos"}, want: "FATAL 22023"},
	} {
		t.Run(name, func(t *testing.T) {
			options := `{"databases":["shop"]}`
			if tc.option != "" {
				options = `{"databases":["shop"],"authentication":"` + tc.option + `"}`
			}
			r, s := road(t, withOptions(options))
			if got := short(offered(t, r, s, tc.parameters...).receive()); got != tc.want {
				t.Errorf("offered %s, want %s", got, tc.want)
			}
		})
	}
}

// TestOAuth is RFC 7628, sections 3.1 to 3.2.3 and 4, as libpq 18 speaks it
// inside PostgreSQL's SASL messages.
func TestOAuth(t *testing.T) {
	r, s := road(t, withOptions(`{"databases":["shop"],"authentication":"OAuth","oauth":{"identityProvider":"staff","scope":"openid groups"}}`))
	begin := func(t *testing.T) *raw {
		t.Helper()
		c := offered(t, r, s)
		m, ok := c.receive().(*pgproto3.AuthenticationSASL)
		if !ok || !cmp.Equal(m.AuthMechanisms, []string{"OAUTHBEARER"}) {
			t.Fatalf("offered %+v", m)
		}
		return c
	}
	say := func(c *raw, message string) {
		c.send(&pgproto3.SASLInitialResponse{AuthMechanism: "OAUTHBEARER", Data: []byte(message)})
	}
	metadata := map[string]string{
		"status": "invalid_token", "scope": "openid groups",
		"openid-configuration": "https://staff.example.com/realms/one/.well-known/openid-configuration",
	}
	// challenged takes the server's answer and replies to it.
	challenged := func(t *testing.T, c *raw, reply string) []string {
		t.Helper()
		m, ok := c.receive().(*pgproto3.AuthenticationSASLContinue)
		if !ok {
			t.Fatal("no challenge")
		}
		var got map[string]string
		if err := json.Unmarshal(m.Data, &got); err != nil {
			t.Fatalf("%q: %v", m.Data, err)
		}
		if diff := cmp.Diff(metadata, got); diff != "" {
			t.Errorf("challenge (-want +got):\n%s", diff)
		}
		c.send(&pgproto3.SASLResponse{Data: []byte(reply)})
		return c.until(1)
	}
	failures := func() int { return len(r.Log.OfType(record.AuthenticationFailed)) }

	t.Run("a token", func(t *testing.T) {
		c := begin(t)
		say(c, "n,,\x01auth=Bearer "+protocoltest.Token+"\x01\x01")
		got := c.until(1)
		if got[0] != "AuthenticationOk" || got[len(got)-1] != "ready I" {
			t.Fatalf("got %v", got)
		}
		c.send(query("SELECT 1"))
		if diff := cmp.Diff([]string{"RowDescription", "row 1", "done SELECT 1", "ready I"}, c.until(1)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		r.Log.Await(deadline(t), t, "session start", func(e record.Event) bool {
			return e.Type == record.SessionStart && e.Actor.UserName == protocoltest.UserName
		})
	})
	t.Run("no token yet", func(t *testing.T) {
		before := failures()
		c := begin(t)
		say(c, "n,,\x01auth=\x01\x01")
		if diff := cmp.Diff([]string{"FATAL 28000", "end"}, challenged(t, c, "\x01")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n := failures(); n != before {
			t.Errorf("%d failures on record for a question", n-before)
		}
	})
	t.Run("a wrong token", func(t *testing.T) {
		before := failures()
		c := begin(t)
		say(c, "n,,\x01auth=Bearer canary-token\x01\x01")
		if diff := cmp.Diff([]string{"FATAL 28P01", "end"}, challenged(t, c, "\x01")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		events := r.Log.OfType(record.AuthenticationFailed)
		if len(events) != before+1 || strings.Contains(events[len(events)-1].Reason, "canary-token") {
			t.Errorf("on record: %+v", events[before:])
		}
	})
	t.Run("a second try in one exchange", func(t *testing.T) {
		c := begin(t)
		say(c, "n,,\x01auth=\x01\x01")
		if diff := cmp.Diff([]string{"FATAL 08P01", "end"}, challenged(t, c, "n,,\x01auth=Bearer "+protocoltest.Token+"\x01\x01")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	for name, message := range map[string]string{
		"somebody else":   "n,a=bob,\x01auth=Bearer " + protocoltest.Token + "\x01\x01",
		"channel binding": "p=tls-server-end-point,,\x01auth=Bearer " + protocoltest.Token + "\x01\x01",
		"two tokens":      "n,,\x01auth=Bearer x\x01auth=Bearer " + protocoltest.Token + "\x01\x01",
		"nothing":         "",
	} {
		t.Run("malformed: "+name, func(t *testing.T) {
			before := failures()
			c := begin(t)
			say(c, message)
			if diff := cmp.Diff([]string{"FATAL 08P01", "end"}, c.until(1)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if n := failures(); n != before+1 {
				t.Errorf("%d failures on record, want one more than %d", n, before)
			}
		})
	}
	for name, m := range map[string]pgproto3.FrontendMessage{
		"another mechanism":  &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=abc")},
		"PLUS":               &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256-PLUS", Data: []byte("p=tls-server-end-point,,n=,r=abc")},
		"a password":         &pgproto3.PasswordMessage{Password: protocoltest.Token},
		"a query":            query("SELECT 1"),
		"a very large token": &pgproto3.SASLInitialResponse{AuthMechanism: "OAUTHBEARER", Data: []byte("n,,\x01auth=Bearer " + strings.Repeat("x", 40_000) + "\x01\x01")},
	} {
		t.Run("instead: "+name, func(t *testing.T) {
			c := begin(t)
			c.send(m)
			if diff := cmp.Diff([]string{"FATAL 08P01", "end"}, c.until(1)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	// A client of the other kind that is not ours: pgx.
	t.Run("pgx", func(t *testing.T) {
		conn := client(t, r, s, func(c *pgx.ConnConfig) {
			c.Password = ""
			c.RequireAuth = "oauth"
			c.OAuthTokenProvider = func(context.Context) (string, error) { return protocoltest.Token, nil }
		})
		if _, err := conn.Exec(deadline(t), "SELECT 1"); err != nil {
			t.Error(err)
		}
	})
	t.Run("pgx with a password", func(t *testing.T) {
		client(t, r, s, func(c *pgx.ConnConfig) { c.RuntimeParams["options"] = "-c doorward.authentication=password" })
	})
}

// TestDirectTLS is sslnegotiation=direct: TLS from the first byte, and the
// protocol by its name (checklist 14).
func TestDirectTLS(t *testing.T) {
	r, s := road(t)
	handshake := func(t *testing.T, conn net.Conn, protocols ...string) (*tls.Conn, error) {
		t.Helper()
		secured := tls.Client(conn, &tls.Config{RootCAs: r.RootCAs, ServerName: "localhost", MinVersion: tls.VersionTLS12, NextProtos: protocols})
		err := secured.HandshakeContext(deadline(t))
		return secured, err
	}
	t.Run("pgx", func(t *testing.T) {
		conn := client(t, r, s, func(c *pgx.ConnConfig) {
			c.SSLNegotiation, c.TLSConfig.NextProtos = "direct", []string{"postgresql"}
		})
		if _, err := conn.Exec(deadline(t), "SELECT 1"); err != nil {
			t.Error(err)
		}
	})
	t.Run("no protocol named", func(t *testing.T) {
		before := len(r.Log.OfType(record.AuthenticationFailed))
		secured, err := handshake(t, dialPlain(t, s))
		if err != nil {
			t.Fatal(err)
		}
		c := &raw{tb: t, conn: secured, fe: pgproto3.NewFrontend(secured, secured)}
		if diff := cmp.Diff([]string{"FATAL 08P01", "end"}, c.until(1)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n := len(r.Log.OfType(record.AuthenticationFailed)); n != before+1 {
			t.Errorf("%d failures on record, want one more than %d", n, before)
		}
	})
	t.Run("another protocol", func(t *testing.T) {
		if _, err := handshake(t, dialPlain(t, s), "h2"); err == nil {
			t.Error("a client that speaks another protocol got in")
		}
	})
	t.Run("another protocol behind an SSLRequest", func(t *testing.T) {
		conn := dialPlain(t, s)
		if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := handshake(t, conn, "h2"); err == nil {
			t.Error("a client that speaks another protocol got in")
		}
	})
	t.Run("TLS inside TLS", func(t *testing.T) {
		secured, err := handshake(t, dialPlain(t, s), "postgresql")
		if err != nil {
			t.Fatal(err)
		}
		c := &raw{tb: t, conn: secured, fe: pgproto3.NewFrontend(secured, secured)}
		c.write([]byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f})
		if diff := cmp.Diff([]string{"FATAL 08P01", "end"}, c.until(1)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("after a GSSENCRequest", func(t *testing.T) {
		conn := dialPlain(t, s)
		if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x30}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := handshake(t, conn, "postgresql"); err == nil {
			t.Error("TLS began in the midst of a negotiation")
		}
	})
}

// TestCancelKeys is checklist 16: keys are the proxy's own, as long as the
// client's version of the protocol has them, and good for their session alone.
func TestCancelKeys(t *testing.T) {
	r, s := road(t)
	enterAs := func(t *testing.T, version uint32) *raw {
		t.Helper()
		conn := dialTLS(t, r, s)
		c := &raw{tb: t, conn: conn, fe: pgproto3.NewFrontend(conn, conn)}
		c.write(startupPacket(version, "user", "alice", "database", "shop"))
		for {
			switch m := c.receive().(type) {
			case *pgproto3.AuthenticationCleartextPassword:
				c.send(&pgproto3.PasswordMessage{Password: protocoltest.Token})
			case *pgproto3.BackendKeyData:
				c.key = &pgproto3.BackendKeyData{ProcessID: m.ProcessID, SecretKey: append([]byte(nil), m.SecretKey...)}
			case *pgproto3.ReadyForQuery:
				return c
			case *pgproto3.ErrorResponse:
				t.Fatalf("refused: %+v", m)
			}
		}
	}
	cancel := func(t *testing.T, key *pgproto3.BackendKeyData) {
		t.Helper()
		conn := dialPlain(t, s)
		request := binary.BigEndian.AppendUint32(nil, uint32(12+len(key.SecretKey)))
		request = binary.BigEndian.AppendUint32(request, 1234<<16|5678)
		request = append(binary.BigEndian.AppendUint32(request, key.ProcessID), key.SecretKey...)
		if _, err := conn.Write(request); err != nil {
			t.Error(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Error("a cancel request was answered")
		}
	}
	lengths := map[uint32]int{}
	for _, version := range []uint32{196608, 196609, 196610, 196608 + 9999} {
		lengths[version] = len(enterAs(t, version).key.SecretKey)
	}
	if diff := cmp.Diff(map[uint32]int{196608: 4, 196609: 4, 196610: 32, 196608 + 9999: 32}, lengths); diff != "" {
		t.Errorf("lengths of cancel keys (-want +got):\n%s", diff)
	}

	c := enterAs(t, 196610)
	c.send(query("SELECT pg_sleep(60)"))
	short := &pgproto3.BackendKeyData{ProcessID: c.key.ProcessID, SecretKey: c.key.SecretKey[:4]}
	longer := &pgproto3.BackendKeyData{ProcessID: c.key.ProcessID, SecretKey: append(append([]byte(nil), c.key.SecretKey...), 0)}
	before := len(r.Log.OfType(record.AuthenticationFailed))
	cancel(t, short)
	cancel(t, longer)
	cancel(t, &pgproto3.BackendKeyData{ProcessID: c.key.ProcessID, SecretKey: make([]byte, 256)})
	cancel(t, &pgproto3.BackendKeyData{ProcessID: c.key.ProcessID, SecretKey: make([]byte, 257)})
	if n := len(r.Log.OfType(record.AuthenticationFailed)) - before; n != 4 {
		t.Errorf("%d wrong keys on record, want 4", n)
	}
	// As with any server, a request that comes before the statement cancels nothing.
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	ctx, stop := context.WithCancel(deadline(t))
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil {
			cancel(t, c.key)
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	if got := c.until(1); got[len(got)-2] != "ERROR 57014" {
		t.Errorf("after the cancel request: %v", got)
	}
	stop()
	asking.Wait()
	key := c.key
	c.send(&pgproto3.Terminate{})
	if got := c.until(1); got[len(got)-1] != "end" {
		t.Errorf("after Terminate: %v", got)
	}
	r.Log.Await(deadline(t), t, "session end", func(e record.Event) bool { return e.Type == record.SessionEnd })
	before = len(r.Log.OfType(record.AuthenticationFailed))
	cancel(t, key)
	if n := len(r.Log.OfType(record.AuthenticationFailed)) - before; n != 1 {
		t.Errorf("the key of an ended session is known: %d unknown keys on record, want 1", n)
	}
}
