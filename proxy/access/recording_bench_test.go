// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/proxy/record/spool"
)

// BenchmarkRecording is what a part costs a terminal, from the writer's hand until it is
// durable: a line of typing, and a full part of output; on the road alone, on a real log by
// one terminal, and by 16 at the same time.
func BenchmarkRecording(b *testing.B) {
	for _, size := range []int{80, cast.PartBytes - 64} {
		data := strings.Repeat("x", size) + "\n"
		digest := cast.Digest([]byte(data))
		for _, c := range []struct {
			name      string
			real      bool
			terminals int
		}{{"road", false, 1}, {"log", true, 1}, {"log16", true, 16}} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				grant := benchGrant(b, nil)
				if c.real {
					log, err := spool.Open(b.Context(), spool.Options{Dir: b.TempDir(), MaxBytes: 4 << 30})
					if err != nil {
						b.Fatal(err)
					}
					defer func() { _ = log.Close() }()
					grant.gate.config.Log = log
				}
				permits := make([]*Permit, c.terminals)
				for i := range permits {
					permit, err := grant.Decide(b.Context(), statement())
					if err != nil {
						b.Fatal(err)
					}
					permits[i] = permit
				}
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				b.ResetTimer()
				var wait sync.WaitGroup
				var left atomic.Int64
				left.Store(int64(b.N))
				for i, permit := range permits {
					id := fmt.Sprintf("shell-%d", i)
					wait.Go(func() {
						for n := int64(0); left.Add(-1) >= 0; n++ {
							if err := permit.Recording(record.Recording{ID: id, Format: cast.Format, Sequence: n, Digest: digest, Data: data}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wait.Wait()
			})
		}
	}
}

// BenchmarkResult is what the record of a result costs the road that says how a program
// ended and what went through: without, and with both ways of one file.
func BenchmarkResult(b *testing.B) {
	const digest = "sha256:4d7b3ef7300acf70c892d8327db8272f54434adbc61a4e130a563cb59a0d0f47"
	for name, result := range map[string]record.Result{
		"plain": {Outcome: "Succeeded", Bytes: 14},
		"transfers": {
			Outcome: "Succeeded", Bytes: 14, Exit: &record.Exit{},
			Transfers: []record.Transfer{{Direction: record.ToTarget, Name: "/srv/upload.tar", Bytes: 1 << 20, Digest: digest}, {Direction: record.ToCaller, Bytes: 14, Digest: digest}},
		},
	} {
		b.Run(name, func(b *testing.B) {
			grant := benchGrant(b, nil)
			b.ReportAllocs()
			for b.Loop() {
				permit, err := grant.Decide(b.Context(), statement())
				if err != nil {
					b.Fatal(err)
				}
				permit.Done(result)
			}
		})
	}
}
