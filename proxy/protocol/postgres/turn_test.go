// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"encoding/binary"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// BenchmarkTurn is one prepared SELECT of one row by a client that does nothing
// but write the same bytes and count what comes back, while a column of the same
// table is masked. The server is another process, so that the processor time of
// this one, told as cpu-ns/op, is the proxy's and the little of the client, which
// Direct has alone.
func BenchmarkTurn(b *testing.B) {
	b.Run("Direct", func(b *testing.B) {
		conn, err := pgx.Connect(b.Context(), server.DSN(service, canary, "shop"))
		if err != nil {
			b.Fatal(err)
		}
		hijacked, err := conn.PgConn().Hijack()
		if err != nil {
			b.Fatal(err)
		}
		defer hijacked.Conn.Close()
		turns(b, hijacked.Conn)
	})
	b.Run("Doorward", func(b *testing.B) {
		r, s := road(b, func(c *protocoltest.Config) { c.Log = forgetful{} })
		r.Engine.Set(nil, policy.Mask{Name: "customers", Fields: []string{"public.orders.customer"}, Method: policy.Method{Type: policy.Redact}})
		r.Apply(b)
		turns(b, enter(b, r, s).conn)
	})
}

// turns runs a prepared statement over and over on a session that is ready.
func turns(b *testing.B, conn net.Conn) {
	b.Helper()
	_ = conn.SetDeadline(time.Time{})
	say := func(messages ...pgproto3.FrontendMessage) (out []byte) {
		for _, m := range messages {
			var err error
			if out, err = m.Encode(out); err != nil {
				b.Fatal(err)
			}
		}
		return out
	}
	answer := make([]byte, 64<<10)
	turn := func(request []byte) {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for begin, end := 0, 0; ; {
			n, err := conn.Read(answer[end:])
			if err != nil {
				b.Fatal(err)
			}
			for end += n; end-begin >= 5; {
				size := 1 + int(binary.BigEndian.Uint32(answer[begin+1:]))
				if end-begin < size {
					break
				}
				switch answer[begin] {
				case 'E':
					b.Fatalf("%q", answer[begin:end])
				case 'Z':
					return
				}
				begin += size
			}
		}
	}
	turn(say(&pgproto3.Parse{Name: "P_0", Query: "SELECT total FROM public.orders WHERE id = $1"}, &pgproto3.Sync{}))
	request := say(
		&pgproto3.Bind{PreparedStatement: "P_0", Parameters: [][]byte{[]byte("7")}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
	)
	for range 100 {
		turn(request)
	}
	b.ReportAllocs()
	before := spent(b)
	for b.Loop() {
		turn(request)
	}
	b.ReportMetric(float64(spent(b)-before)/float64(b.N), "cpu-ns/op")
}

// spent is the processor time of this process.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
