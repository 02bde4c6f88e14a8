// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// again gives the same packet each time.
type again struct {
	packet []byte
	rest   []byte
}

func (a *again) Read(b []byte) (int, error) {
	if len(a.rest) == 0 {
		a.rest = a.packet
	}
	n := copy(b, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// hot is a session with one file open, in which one request and its answer go through each
// time that step is called.
func hot(tb testing.TB, request, answer []byte) (step func()) {
	tb.Helper()
	s := &session{
		config: Config{MaxOutstanding: 16}, client: io.Discard, target: io.Discard, woken: make(chan struct{}, 1),
		owed: queue{byID: map[uint32]*owed{}}, files: files{byHandle: map[string]*file{}, closing: map[*file]struct{}{}},
	}
	busy := func() bool { return false }
	s.fromClient = &stream{src: &again{packet: request}, write: s.toTarget, quiet: busy}
	s.fromTarget = &stream{src: &again{packet: answer}, write: s.toClient, flushed: s.letGo, quiet: busy}
	f := &file{handle: "hhhh", mayRead: true, mayWrite: true, permit: &permit{road: newRoad(script{})}}
	f.read.held, f.written.held = &s.held, &s.held
	f.read.begin(0)
	f.written.begin(0)
	s.files.byHandle[f.handle] = f
	ctx := context.Background()
	pump := func(from *stream, handle func(context.Context, packetHead) error) {
		head, err := from.next()
		if err == nil {
			err = handle(ctx, head)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return func() {
		f.read.next, f.written.next = 0, 0
		pump(s.fromClient, s.request)
		pump(s.fromTarget, s.answered)
	}
}

func TestNothingIsAllocatedPerTransfer(t *testing.T) {
	for name, c := range map[string]struct{ request, answer []byte }{
		"Write": {packet(typeWrite, 1, "hhhh", uint64(0), make([]byte, 32<<10)), packet(typeStatus, 1, uint32(0), "Success", "")},
		"Read":  {packet(typeRead, 1, "hhhh", uint64(0), uint32(255<<10)), packet(typeData, 1, make([]byte, 255<<10))},
	} {
		step := hot(t, c.request, c.answer)
		step()
		if n := testing.AllocsPerRun(200, step); n > 0 {
			t.Errorf("%s: %v allocations for each", name, n)
		}
	}
}

func BenchmarkTransfer(b *testing.B) {
	b.Run("Write32K", func(b *testing.B) {
		step := hot(b, packet(typeWrite, 1, "hhhh", uint64(0), make([]byte, 32<<10)), packet(typeStatus, 1, uint32(0), "Success", ""))
		b.SetBytes(32 << 10)
		for b.Loop() {
			step()
		}
	})
	b.Run("Read255K", func(b *testing.B) {
		step := hot(b, packet(typeRead, 1, "hhhh", uint64(0), uint32(255<<10)), packet(typeData, 1, make([]byte, 255<<10)))
		b.SetBytes(255 << 10)
		for b.Loop() {
			step()
		}
	})
}

// BenchmarkOpenSSH moves 256 MiB with OpenSSH's client, by turns straight to its server and
// through the relay, and reports both and their ratio, and the processor time of all three
// processes, which tells more on a machine that does other things.
func BenchmarkOpenSSH(b *testing.B) {
	needServer(b)
	const size = 256 << 20
	text, err := json.Marshal(script{})
	if err != nil {
		b.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	dir := directory(b)
	if err := os.WriteFile(filepath.Join(dir, "local"), bytes.Repeat(content(1<<20), size>>20), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, batch string }{{"Put", "put local remote"}, {"Get", "get local back"}} {
		b.Run(c.name, func(b *testing.B) {
			type cost struct{ time, cpu time.Duration }
			var direct, relayed cost
			run := func(to *cost, server string, env []string) {
				client := clientCommand(dir, server, []string{c.batch}, env)
				began := time.Now()
				if out, err := client.CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				to.time += time.Since(began)
				// That of the client, the relay and the server: each waits for its child.
				to.cpu += client.ProcessState.UserTime() + client.ProcessState.SystemTime()
			}
			for b.Loop() {
				run(&direct, sftpServer, os.Environ())
				run(&relayed, program, append(os.Environ(), asRelay+"="+string(text)))
			}
			moved := float64(size) * float64(b.N)
			b.ReportMetric(moved/1e6/direct.time.Seconds(), "direct-MB/s")
			b.ReportMetric(moved/1e6/relayed.time.Seconds(), "relayed-MB/s")
			b.ReportMetric(direct.time.Seconds()/relayed.time.Seconds(), "ratio")
			b.ReportMetric(direct.cpu.Seconds()*1e9/moved, "direct-cpu-s/GB")
			b.ReportMetric(relayed.cpu.Seconds()*1e9/moved, "relayed-cpu-s/GB")
		})
	}
}
