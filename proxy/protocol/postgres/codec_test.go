// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// readAll cuts a stream into messages.
func readAll(r io.Reader, size int) (messages []string, err error) {
	reader := newWireReader(r, size)
	for {
		_, n, err := reader.peek(func(byte) int { return 1 << 16 })
		if err != nil {
			return messages, err
		}
		raw, err := reader.take(n)
		if err != nil {
			return messages, err
		}
		messages = append(messages, string(raw))
	}
}

// FuzzFraming: bytes cut anywhere give the same messages, whatever the buffer.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x09SEL\x00\x00S\x00\x00\x00\x04"))
	f.Add([]byte("Q\x00\x00\x00\x00"))
	f.Add([]byte("Q\xff\xff\xff\xffx"))
	f.Add(append([]byte("d\x00\x00\x10\x00"), make([]byte, 5000)...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		want, wantErr := readAll(bytes.NewReader(stream), 8192)
		for name, r := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(bytes.NewReader(stream)), "half": iotest.HalfReader(bytes.NewReader(stream)),
			"data with error": iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			got, err := readAll(r, 16)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if errors.Is(err, io.EOF) != errors.Is(wantErr, io.EOF) || errors.Is(err, errFraming) != errors.Is(wantErr, errFraming) {
				t.Errorf("%s: %v, want %v", name, err, wantErr)
			}
		}
		if total := len(strings.Join(want, "")); total > len(stream) {
			t.Errorf("%d bytes of messages in %d bytes", total, len(stream))
		}
	})
}

// FuzzStartup: no packet crashes, and what is accepted holds no refused parameter.
func FuzzStartup(f *testing.F) {
	for _, seed := range []string{"\x00\x03\x00\x00user\x00a\x00\x00", "\x00\x03\x00\x02user\x00a\x00_pq_.x\x00\x00\x00", "\x00\x03\x00\x00user\x00a\x00options\x00-c jit=off --geqo=on\x00\x00", "\x00\x02\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) < 4 {
			return
		}
		s, err := parseStartup(packet)
		var rejected *rejection
		if err != nil {
			if !errors.As(err, &rejected) {
				t.Errorf("an error that is no rejection: %v", err)
			}
			return
		}
		var m pgproto3.StartupMessage
		if m.Decode(packet) == nil {
			if m.Parameters["user"] != "" && m.Parameters["user"] != s.user {
				t.Errorf("user %q, another decoder reads %q", s.user, m.Parameters["user"])
			}
		}
		for name := range s.passed {
			if _, listed := passedOn[name]; !listed || name == "options" || name == "replication" {
				t.Errorf("%q is passed on", name)
			}
		}
	})
}

// FuzzRequests compares the decoders of what is decided on with another one
// (checklist 13): what this one accepts means the same to it.
func FuzzRequests(f *testing.F) {
	f.Add(byte(msgParse), []byte("a\x00SELECT 1\x00\x00\x01\x00\x00\x00\x17"))
	f.Add(byte(msgBind), []byte("p\x00s\x00\x00\x01\x00\x01\x00\x01\xff\xff\xff\xff\x00\x00"))
	f.Add(byte(msgBind), []byte("\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00"))
	f.Add(byte(msgExecute), []byte("p\x00\x00\x00\x00\x00"))
	f.Add(byte(msgDescribe), []byte("Sx\x00"))
	f.Fuzz(func(t *testing.T, kind byte, content []byte) {
		switch kind {
		case msgParse:
			if m, err := decodeParse(content); err == nil {
				var other pgproto3.Parse
				if err := other.Decode(content); err != nil || other.Name != m.name || other.Query != m.text {
					t.Errorf("%+v, other %+v, %v", m, other, err)
				}
			}
		case msgBind:
			if m, err := decodeBind(content); err == nil {
				var other pgproto3.Bind
				if err := other.Decode(content); err != nil || other.DestinationPortal != m.portal || other.PreparedStatement != m.statement || len(other.Parameters) != m.parameters {
					t.Errorf("%+v, other %+v, %v", m, other, err)
				}
			}
		case msgExecute:
			if m, err := decodeExecute(content); err == nil {
				var other pgproto3.Execute
				if err := other.Decode(content); err != nil || other.Portal != m.portal {
					t.Errorf("%+v, other %+v, %v", m, other, err)
				}
			}
		case msgDescribe:
			if m, err := decodeTarget(content); err == nil {
				var other pgproto3.Describe
				if err := other.Decode(content); err != nil || other.ObjectType != m.kind || other.Name != m.name {
					t.Errorf("%+v, other %+v, %v", m, other, err)
				}
			}
		}
	})
}

func TestApplicationName(t *testing.T) {
	tests := map[string]struct{ user, session, want string }{
		"plain":   {"alice@example.com", "orders-bcdfghjklmnpqrst", "doorward:alice@example.com:bcdfghjklmnpqrst"},
		"control": {"a\x1b\nb", "orders-bcdfghjklmnpqrst", "doorward:a??b:bcdfghjklmnpqrst"},
		"unicode": {"zoë\u202e", "s", "doorward:zo??:s"},
		"CJK":     {strings.Repeat("\u6f22", 100), "orders-bcdfghjklmnpqrst", "doorward:" + strings.Repeat("?", 37) + ":bcdfghjklmnpqrst"},
		"none":    {"", "orders-bcdfghjklmnpqrst", "doorward::bcdfghjklmnpqrst"},
		"long":    {strings.Repeat("x", 100), "orders-bcdfghjklmnpqrst", "doorward:" + strings.Repeat("x", 37) + ":bcdfghjklmnpqrst"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := applicationName(identity.Principal{UserName: tc.user}, tc.session)
			if got != tc.want || len(got) > maxIdentifier {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestWithoutLiterals is checklist 47: what cannot be understood is recorded
// without what may be a secret.
func TestWithoutLiterals(t *testing.T) {
	for text, want := range map[string]string{
		"ALTER ROLE x PASWORD 'a''b' y": "ALTER ROLE x PASWORD …",
		"/* it's */ PASWORD 'secret'":   "/* it…",
		"DO $x$ secret $x$ rest":        "DO …",
		"DO $$ secret":                  "DO …",
		"SELECT $1, $2":                 "SELECT $1, $2",
		"no quotes":                     "no quotes",
	} {
		if got := withoutLiterals(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(3, 1<<20)
	for _, text := range []string{"a", "b", "c", "d"} {
		c.put(cacheKey{text: text}, []*statement{{Statement: &sql.Statement{Text: text}}})
		c.get(cacheKey{text: "b"})
	}
	for text, want := range map[string]bool{"a": false, "b": true, "c": true, "d": true} {
		if _, ok := c.get(cacheKey{text: text}); ok != want {
			t.Errorf("%q is kept: %v", text, ok)
		}
	}
	small := newCache(100, 40_000)
	for i := range 100 {
		small.put(cacheKey{text: strings.Repeat("x", 1000+i)}, nil)
	}
	small.put(cacheKey{text: strings.Repeat("1,", 1000)}, nil)
	if small.size > 40_000 || len(small.index) != small.order.Len() || len(small.index) < 5 {
		t.Errorf("size %d, %d entries", small.size, len(small.index))
	}
	if got := words("SELECT 'a b', x_1<=$2"); got != 11 {
		t.Errorf("%d words", got)
	}
}

// TestDocumented: every action and property is on the protocol's page.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/protocols/postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	v := New().Vocabulary()
	for _, term := range append(v.Actions, v.Properties...) {
		if !strings.Contains(string(page), "| `"+term.Name+"` |") {
			t.Errorf("docs/protocols/postgresql.md does not list %q", term.Name)
		}
	}
	if v.Field == "" || v.Resource == "" {
		t.Error("the shapes of resources and fields are missing")
	}
}
