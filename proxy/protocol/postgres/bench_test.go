// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// forgetful is a log that encodes records and keeps none.
type forgetful struct{}

func (forgetful) Append(_ context.Context, event record.Event) (record.Position, error) {
	return record.Position{}, forgetful{}.AppendLater(event)
}

func (forgetful) Begin(_ context.Context, event record.Event) (record.Pending, error) {
	return forgetful{}, forgetful{}.AppendLater(event)
}

func (forgetful) Wait(context.Context) (record.Position, error) { return record.Position{}, nil }

func (forgetful) AppendLater(event record.Event) error {
	_ = record.AppendBody(make([]byte, 0, 2<<10), &event)
	return nil
}

// BenchmarkPrepared is one prepared SELECT of one row, by pgx straight to the
// server and through the protocol: the difference is the protocol's. Time and
// allocations of pgx are part of both.
func BenchmarkPrepared(b *testing.B) {
	run := func(b *testing.B, conn *pgx.Conn) {
		b.Helper()
		if _, err := conn.Prepare(b.Context(), "total", "SELECT total FROM public.orders WHERE id = $1"); err != nil {
			b.Fatal(err)
		}
		var total, id int
		b.ReportAllocs()
		for b.Loop() {
			id = id%1000 + 1
			if err := conn.QueryRow(b.Context(), "total", id).Scan(&total); err != nil {
				b.Fatal(err)
			}
		}
		if total != id*10 {
			b.Fatalf("total of order %d: got %d", id, total)
		}
	}
	b.Run("Direct", func(b *testing.B) {
		conn, err := pgx.Connect(b.Context(), server.DSN(service, canary, "shop"))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close(context.Background())
		run(b, conn)
	})
	b.Run("Doorward", func(b *testing.B) {
		r, s := road(b, func(c *protocoltest.Config) { c.Log = forgetful{} })
		run(b, client(b, r, s))
	})
}
