// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// TestStartup is checklist 14 and 15 on the client's side.
func TestStartup(t *testing.T) {
	good := []string{"user", "alice", "database", "shop"}
	tests := map[string]struct {
		reason string
		packet []byte
		want   []string
	}{
		"plain":                 {reason: "the way in", packet: startupPacket(196608, good...), want: []string{"AuthenticationCleartextPassword"}},
		"3.2":                   {reason: "the newest there is", packet: startupPacket(196610, good...), want: []string{"AuthenticationCleartextPassword"}},
		"3.1":                   {reason: "never used, and no newer than what is spoken", packet: startupPacket(196609, good...), want: []string{"AuthenticationCleartextPassword"}},
		"3.9999":                {reason: "a newer minor version is negotiated down", packet: startupPacket(196608+9999, good...), want: []string{"NegotiateProtocolVersion 196610 []", "AuthenticationCleartextPassword"}},
		"3.9999 and an option":  {reason: "as clients try out what servers make of it", packet: startupPacket(196608+9999, append(good, "_pq_.test_protocol_negotiation", "")...), want: []string{"NegotiateProtocolVersion 196610 [_pq_.test_protocol_negotiation]", "AuthenticationCleartextPassword"}},
		"protocol option":       {reason: "unknown protocol options are named", packet: startupPacket(196608, append(good, "_pq_.x", "1")...), want: []string{"NegotiateProtocolVersion 196608 [_pq_.x]", "AuthenticationCleartextPassword"}},
		"2.0":                   {reason: "the old protocol", packet: startupPacket(131072, good...), want: []string{"FATAL 0A000", "end"}},
		"options":               {reason: "checklist 15: what may not come by itself may not come in options", packet: startupPacket(196608, append(good, "options", "-c role=postgres")...), want: []string{"FATAL 0A000", "end"}},
		"options in capitals":   {reason: "checklist 15: the server does not mind the case", packet: startupPacket(196608, append(good, "options", "-c SESSION_AUTHORIZATION=postgres")...), want: []string{"FATAL 0A000", "end"}},
		"options with dashes":   {reason: "checklist 15: the server reads them as underscores", packet: startupPacket(196608, append(good, "options", "--session-replication-role=replica")...), want: []string{"FATAL 0A000", "end"}},
		"other options":         {reason: "checklist 15: the server's command line has more", packet: startupPacket(196608, append(good, "options", "-d5")...), want: []string{"FATAL 0A000", "end"}},
		"honest options":        {reason: "as PGOPTIONS has them", packet: startupPacket(196608, append(good, "options", "-c statement_timeout=5s -c search_path=x --jit=off")...), want: []string{"AuthenticationCleartextPassword"}},
		"search_path":           {reason: "the session follows it", packet: startupPacket(196608, append(good, "search_path", "x")...), want: []string{"AuthenticationCleartextPassword"}},
		"replication":           {reason: "checklist 15", packet: startupPacket(196608, append(good, "replication", "database")...), want: []string{"FATAL 0A000", "end"}},
		"replication false":     {reason: "checklist 15", packet: startupPacket(196608, append(good, "replication", "false")...), want: []string{"FATAL 0A000", "end"}},
		"role":                  {reason: "checklist 15", packet: startupPacket(196608, append(good, "role", "postgres")...), want: []string{"FATAL 0A000", "end"}},
		"scs":                   {reason: "checklist 11", packet: startupPacket(196608, append(good, "standard_conforming_strings", "off")...), want: []string{"FATAL 22023", "end"}},
		"LATIN1":                {reason: "checklist 11", packet: startupPacket(196608, append(good, "client_encoding", "LATIN1")...), want: []string{"FATAL 22023", "end"}},
		"utf-8 quoted":          {reason: "as some drivers say it", packet: startupPacket(196608, append(good, "client_encoding", "'utf-8'")...), want: []string{"AuthenticationCleartextPassword"}},
		"twice":                 {reason: "which one counts is anybody's guess", packet: startupPacket(196608, append(good, "user", "bob")...), want: []string{"FATAL 08P01", "end"}},
		"no user":               {reason: "required", packet: startupPacket(196608, "database", "shop"), want: []string{"FATAL 28000", "end"}},
		"bytes after the end":   {reason: "malformed", packet: append([]byte{0, 0, 0, 16}, "\x00\x03\x00\x00user\x00\x00\x00x"...)[:16], want: []string{"FATAL 08P01", "end"}},
		"length 2^31-1":         {reason: "checklist 13", packet: []byte{0x7f, 0xff, 0xff, 0xff}, want: []string{"FATAL 08P01", "end"}},
		"length 3":              {reason: "checklist 13", packet: []byte{0, 0, 0, 3}, want: []string{"FATAL 08P01", "end"}},
		"length 4":              {reason: "checklist 13: no room for a version", packet: []byte{0, 0, 0, 4}, want: []string{"FATAL 08P01", "end"}},
		"length 7":              {reason: "checklist 13: less than a version", packet: []byte{0, 0, 0, 7, 0, 3, 0}, want: []string{"FATAL 08P01", "end"}},
		"SSLRequest inside":     {reason: "encryption twice", packet: []byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f}, want: []string{"FATAL 08P01", "end"}},
		"timezone and dates":    {reason: "passed on", packet: startupPacket(196608, append(good, "TimeZone", "Europe/Berlin", "DateStyle", "ISO", "extra_float_digits", "3")...), want: []string{"AuthenticationCleartextPassword"}},
		"application_name kept": {reason: "recorded, not passed on", packet: startupPacket(196608, append(good, "application_name", "psql\x1b[2K")...), want: []string{"AuthenticationCleartextPassword"}},
	}
	r, s := road(t)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := len(r.Log.OfType(record.AuthenticationFailed))
			conn := dialTLS(t, r, s)
			c := &raw{tb: t, conn: conn, fe: pgproto3.NewFrontend(conn, conn)}
			c.write(tc.packet)
			var got []string
			for range tc.want {
				m, err := c.fe.Receive()
				if err != nil {
					got = append(got, "end")
					break
				}
				got = append(got, short(m))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			refused := strings.HasPrefix(tc.want[0], "FATAL")
			if n := len(r.Log.OfType(record.AuthenticationFailed)) - before; refused != (n == 1) {
				t.Errorf("%d rejections on record", n)
			}
		})
	}
	if n := r.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times before anybody was proven", n)
	}
}

// TestTLSUpgrade is checklist 14: bytes behind the SSLRequest never count, and
// nothing is asked for in the clear.
func TestTLSUpgrade(t *testing.T) {
	r, s := road(t)
	t.Run("injection", func(t *testing.T) {
		conn := dialPlain(t, s)
		injected := append([]byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f}, startupPacket(196608, "user", "mallory", "database", "shop")...)
		if _, err := conn.Write(injected); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		secured := tls.Client(conn, &tls.Config{RootCAs: r.RootCAs, ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(deadline(t)); err == nil {
			t.Fatal("the handshake went on behind injected bytes")
		}
		r.Log.Await(deadline(t), t, "rejection", func(e record.Event) bool { return e.Type == record.AuthenticationFailed })
	})
	for name, first := range map[string][]byte{"at once": nil, "after GSS": {0, 0, 0, 8, 4, 0xd2, 0x16, 0x30}} {
		t.Run("in the clear "+name, func(t *testing.T) {
			conn := dialPlain(t, s)
			if first != nil {
				if _, err := conn.Write(first); err != nil {
					t.Fatal(err)
				}
				answer := make([]byte, 1)
				if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'N' {
					t.Fatalf("GSSENCRequest: %q, %v", answer, err)
				}
			}
			c := &raw{tb: t, conn: conn, fe: pgproto3.NewFrontend(conn, conn)}
			c.write(startupPacket(196608, "user", "alice", "database", "shop"))
			m, ok := c.receive().(*pgproto3.ErrorResponse)
			if !ok || m.Code != "28000" || !strings.Contains(m.Hint, "sslmode=verify-full sslrootcert=") ||
				!strings.Contains(m.Hint, `get configmap doorward-trust-bundle -o jsonpath='{.data.ca\.crt}'`) {
				t.Errorf("answer: %+v", m)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	r, s := road(t)
	tests := map[string]struct {
		edit  func(*pgx.ConnConfig)
		code  string
		kind  record.Type
		dials int
	}{
		"wrong token":    {edit: func(c *pgx.ConnConfig) { c.Password = "wrong" }, code: "28P01", kind: record.AuthenticationFailed},
		"huge token":     {edit: func(c *pgx.ConnConfig) { c.Password = strings.Repeat("x", 40_000) }, code: "08P01", kind: record.AuthenticationFailed},
		"no token":       {edit: func(c *pgx.ConnConfig) { c.Password = "" }, code: "28P01", kind: record.AuthenticationFailed},
		"other database": {edit: func(c *pgx.ConnConfig) { c.Database = "postgres" }, code: "3D000", kind: record.SessionEnd},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := pgx.ParseConfig(dsn(t, r, s))
			if err != nil {
				t.Fatal(err)
			}
			tc.edit(config)
			before := len(r.Log.OfType(tc.kind))
			conn, err := pgx.ConnectConfig(deadline(t), config)
			if err == nil {
				_ = conn.Close(context.Background())
				t.Fatal("the client got in")
			}
			var failure *pgconn.PgError
			if !errors.As(err, &failure) || failure.Code != tc.code {
				t.Errorf("refused with %v, want %s", err, tc.code)
			}
			r.Log.Await(deadline(t), t, string(tc.kind), func(e record.Event) bool { return e.Type == tc.kind })
			if n := len(r.Log.OfType(tc.kind)); n != before+1 {
				t.Errorf("%d records of %s, want one more than %d", n, tc.kind, before)
			}
		})
	}
	if n := r.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times", n)
	}
}

// TestActor: the target's log shows who it was, and the user name that the
// client sends is nobody's identity.
func TestActor(t *testing.T) {
	r, s := road(t)
	conn := client(t, r, s, func(c *pgx.ConnConfig) { c.User = "postgres"; c.RuntimeParams["application_name"] = "evil\x1bname" })
	var user, application string
	if err := conn.QueryRow(deadline(t), "SELECT current_user, current_setting('application_name')").Scan(&user, &application); err != nil {
		t.Fatal(err)
	}
	start := r.Log.OfType(record.SessionStart)[0]
	tail := start.Session[len(start.Session)-16:]
	if user != service || application != "doorward:alice@example.com:"+tail {
		t.Errorf("user %q, application_name %q", user, application)
	}
	want := []record.Attribute{{Name: "database", Value: "shop"}, {Name: "requestedUser", Value: "postgres"}, {Name: "applicationName", Value: "evil\x1bname"}}
	if diff := cmp.Diff(want, start.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if start.Actor.UserName != protocoltest.UserName {
		t.Errorf("actor: %+v", start.Actor)
	}
}

// TestTargetTLS is checklist 14 on the target's side: a target without TLS is
// refused where TLS is wanted, and gets no password in the clear.
func TestTargetTLS(t *testing.T) {
	plain := pgtest.StartT(t, pgtest.Options{WithoutTLS: true, HBA: []string{"host all " + service + " 127.0.0.1/32 password"}})
	if err := plain.Exec(deadline(t), "CREATE ROLE "+service+" LOGIN PASSWORD '"+canary+"'", "CREATE DATABASE shop"); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]snapshot.TLS{
		"answers N":             {Mode: "VerifyFull", CA: string(server.CAPEM)},
		"asks for clear text":   {Mode: "Disabled"},
		"certificate of others": {Mode: "VerifyFull", CA: ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := road(t, func(c *protocoltest.Config) {
				c.TLS = mode
				if name != "certificate of others" {
					c.Target.Port = int32(plain.Port)
				}
			})
			config, err := pgx.ParseConfig(dsn(t, r, s))
			if err != nil {
				t.Fatal(err)
			}
			_, err = pgx.ConnectConfig(deadline(t), config)
			var failure *pgconn.PgError
			if !errors.As(err, &failure) || failure.Code != "57P03" || strings.Contains(err.Error(), service) {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

// tap passes connections on and keeps every byte that goes to the client.
type tap struct {
	net.Conn
	seen *bytes.Buffer
}

func (c tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}

// TestCanary is checklist 48 and 49: the target's password is in nothing that a
// client receives and in no record, and neither are passwords in statements.
func TestCanary(t *testing.T) {
	r, s := road(t)
	// With another password the proxy can read no catalog, and runs nothing more.
	defer func() {
		if err := server.Exec(context.Background(), "ALTER ROLE "+service+" PASSWORD '"+canary+"'"); err != nil {
			t.Error(err)
		}
	}()
	conn := dialTLS(t, r, s)
	var seen bytes.Buffer
	c := &raw{tb: t, conn: conn, fe: pgproto3.NewFrontend(tap{conn, &seen}, conn)}
	c.write(startupPacket(196608, "user", "al\x1b[2Kice", "database", "shop"))
	c.send(&pgproto3.PasswordMessage{Password: protocoltest.Token})
	c.until(1)
	for _, text := range []string{
		"ALTER ROLE " + service + " PASSWORD 'statement-canary'",
		"CREATE ROLE x PASSWORD 'statement-canary'",
		"ALTER ROLE x PASWORD 'statement-canary'",
		"SELECT 1 /* \x1b[31m */",
		"SELECT * FROM pg_authid",
	} {
		c.send(query(text))
		c.until(1)
	}
	c.send(query("ALTER ROLE " + service + " PASSWORD '" + canary + "'"))
	c.until(1)
	r.Gate.Terminate(r.Log.OfType(record.SessionStart)[0].Session, "end")
	c.until(1)
	var written bytes.Buffer
	for _, e := range r.Log.Events() {
		written.Write(record.AppendJSON(nil, record.Position{}, record.Hash{}, &e))
		written.WriteByte('\n')
	}
	for _, secret := range []string{canary, "statement-canary", protocoltest.Token, "\x1b"} {
		if strings.Contains(written.String(), secret) {
			t.Errorf("%q is in a record", secret)
		}
	}
	if strings.Contains(seen.String(), canary) {
		t.Error("the canary went to the client")
	}
	if testing.Verbose() {
		_, _ = os.Stderr.Write(written.Bytes())
	}
}

// TestStartupSettings: what the client asks for at the start holds at the
// target, and the search path decides what names mean, there and here.
func TestStartupSettings(t *testing.T) {
	r, s := road(t)
	if err := server.Exec(deadline(t), `ALTER ROLE `+service+` IN DATABASE shop RESET ALL`); err != nil {
		t.Fatal(err)
	}
	owner, err := pgx.Connect(deadline(t), server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if _, err := owner.Exec(deadline(t), "CREATE SCHEMA IF NOT EXISTS aside; CREATE TABLE IF NOT EXISTS aside.secrets (id int, word text); INSERT INTO aside.secrets VALUES (1, 'aside')"); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = owner.Exec(context.Background(), "DROP SCHEMA aside CASCADE") }()
	conn := client(t, r, s, func(c *pgx.ConnConfig) {
		c.RuntimeParams["search_path"] = "aside, public"
		c.RuntimeParams["options"] = "-c statement_timeout=7s -c default-transaction-read-only=on"
	})
	for query, want := range map[string]string{
		"SELECT word FROM secrets":           "aside",
		"SHOW statement_timeout":             "7s",
		"SHOW default_transaction_read_only": "on",
		"SHOW standard_conforming_strings":   "on",
		"SHOW client_encoding":               "UTF8",
	} {
		var got string
		if err := conn.QueryRow(deadline(t), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", query, got, err, want)
		}
	}
	r.Log.Await(deadline(t), t, "the decision", func(e record.Event) bool {
		return e.Type == record.OperationDecided && len(e.Operation.Accesses) == 1 && e.Operation.Accesses[0].Resource == "aside.secrets"
	})
	// A target that does not know a parameter says so to the client.
	config, err := pgx.ParseConfig(dsn(t, r, s))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["transaction_timeout"] = "1s" // new in PostgreSQL 17
	if conn, err := pgx.ConnectConfig(deadline(t), config); err == nil {
		_ = conn.Close(context.Background())
	} else if !strings.Contains(err.Error(), "transaction_timeout") {
		t.Errorf("the client is told %v", err)
	}
}
