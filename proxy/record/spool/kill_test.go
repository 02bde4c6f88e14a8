// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package spool

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

const killedDir = "DOORWARD_TEST_KILLED_DIR"

// TestKilledProcess is not a test of its own: TestKill runs it as a process
// that appends from several goroutines and prints what was acknowledged.
func TestKilledProcess(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		return
	}
	l, err := Open(context.Background(), Options{Dir: dir, SegmentBytes: 16 << 10, MaxBytes: 256 << 20, CheckpointDelay: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() {
			for i := 1; ; i++ {
				if writer == 0 && i%4 == 0 {
					if err := l.Rotate(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
				p, err := l.Append(context.Background(), record.Event{Type: record.OperationHeld})
				if err != nil {
					t.Error(err)
					return
				}
				// One write each, so that lines do not mix.
				if _, err := fmt.Fprintf(os.Stdout, "%d\n", p.Index); err != nil {
					return
				}
			}
		})
	}
	group.Wait()
}

// TestKill is checklist 42: after kill -9 at any moment, everything that was
// acknowledged is in the log, the log goes on, and its tree and its keys, which
// are rotated all the while, are whole (checklist 45).
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes; not in short mode")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	highest := int64(-1)
	for round := range 10 {
		process := exec.CommandContext(t.Context(), program, "-test.run=^TestKilledProcess$")
		process.Env = append(os.Environ(), killedDir+"="+dir)
		output, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(output)
		for seen := 0; lines.Scan(); seen++ {
			index, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				continue // the kill cut a line
			}
			highest = max(highest, index)
			if seen == 50+37*round {
				if err := process.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = process.Wait() // killed
		next := int64(0)
		for r, err := range Records(dir) {
			if err != nil {
				break // a torn tail; Open judges
			}
			if r.Position.Index != next {
				t.Fatalf("record %d where %d must be", r.Position.Index, next)
			}
			next++
		}
		if next <= highest {
			t.Fatalf("round %d: record %d was acknowledged, the log ends with %d", round, highest, next-1)
		}
	}
	l := mustSign(t, Options{Dir: dir, SegmentBytes: 16 << 10, MaxBytes: 256 << 20})
	if l.Durable() <= highest {
		t.Errorf("%d records after opening again, %d were acknowledged", l.Durable(), highest+1)
	}
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := check(t, dir, l.Keys().First())
	if s.keys.Current() != l.Verifier() || len(s.keys.Texts()) < 10 || len(s.checkpoints) == 0 {
		t.Errorf("%d keys and %d checkpoints, the last key is in force: %v", len(s.keys.Texts()), len(s.checkpoints), s.keys.Current() == l.Verifier())
	}
}
