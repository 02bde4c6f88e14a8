// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestDrain sends the proxy SIGTERM while one session is in a transaction and
// another is idle.
func TestDrain(t *testing.T) {
	busy, idle := login(t, alice), login(t, alice)
	busy.Must(t, "BEGIN")
	busy.Must(t, "SELECT count(*) FROM orders")
	idle.Must(t, "SELECT 1")
	ended := watch(t, idle, false)
	proxy := world.Proxy()
	if err := proxy.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			_ = proxy.Kill()
			startProxy(t)
		}
	})
	refused := await(t, "the refusal of new sessions", func(ctx context.Context) error {
		s, err := dial(ctx, alice)
		if err != nil {
			return nil
		}
		defer s.Close(ctx)
		return fmt.Errorf("a new session was let in")
	})
	// One statement that takes a while, begun after the signal.
	if rows := busy.Must(t, "SELECT pg_sleep(2), count(*) FROM orders"); len(rows) != 1 {
		t.Errorf("the transaction's statement returned %v", rows)
	}
	busy.Must(t, "COMMIT")
	committed := time.Since(told)
	busy.Leave(t)

	end := <-ended
	said := refusal(t, end.err)
	wants(t, said, codeAdminShutdown, "shutting down")
	idled := end.at.Sub(told)
	if idled > drainTimeout+within(2*time.Second) {
		t.Errorf("the idle session ended after %s, want %s", idled, drainTimeout)
	}
	select {
	case <-proxy.Done():
	case <-time.After(stacktest.Timeout):
		t.Fatal("the proxy does not exit")
	}
	exited := time.Since(told)
	if err := proxy.Err(); err != nil {
		t.Errorf("the proxy ended with %v, want status 0", err)
	}

	startProxy(t)
	var stop, closing, start record.Document
	await(t, "the records of stop and start", func(context.Context) (err error) {
		if stop, err = found(func(d record.Document) bool { return d.Type == record.ProxyStop }); err != nil {
			return err
		}
		if start, err = found(func(d record.Document) bool { return d.Type == record.ProxyStart && d.Index > stop.Index }); err != nil {
			return err
		}
		closing, err = found(func(d record.Document) bool { return d.Index == stop.Index+1 })
		return err
	})
	// The log was closed in order: its last checkpoint covers ProxyStop and says so.
	if closing.Type != record.Checkpoint || closing.Checkpoint == nil || closing.Checkpoint.Size != closing.Index || !strings.Contains(closing.Checkpoint.Note, "\nclosed\n") {
		t.Errorf("after ProxyStop %d came %+v, want the checkpoint that closes the log", stop.Index, closing)
	}
	if start.Index != closing.Index+1 || start.Log != stop.Log {
		t.Errorf("after ProxyStop %d of log %s came ProxyStart %d of log %s, want the one behind the checkpoint", stop.Index, stop.Log, start.Index, start.Log)
	}
	all, err := records()
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Complete(all); err != nil {
		t.Error(err)
	}
	t.Logf("drain bound %s: new sessions refused after %s, the transaction committed after %s, the idle session told after %s, exit 0 after %s; "+
		"the log goes on from record %d to %d", drainTimeout, refused.Round(time.Millisecond), committed.Round(time.Millisecond),
		idled.Round(time.Millisecond), exited.Round(time.Millisecond), stop.Index, start.Index)
}

// startProxy brings the proxy back, and waits until it lets callers in.
func startProxy(t *testing.T) {
	t.Helper()
	if err := world.Proxy().Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}
