// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// watch is told by a client of its connections, and of records that have found
// their partition.
type watch struct {
	mu      sync.Mutex
	last    error
	missing int
	failed  bool
	done    chan struct{}
}

var (
	_ kgo.HookBrokerConnect            = (*watch)(nil)
	_ kgo.HookProduceRecordPartitioned = (*watch)(nil)
)

// expect begins a round of n records.
func (w *watch) expect(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing, w.failed, w.done = n, false, make(chan struct{})
}

// stop ends the wait: a record of the round has failed.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = true
	if w.missing > 0 {
		w.missing = 0
		close(w.done)
	}
}

// stopped says whether a record of the round has failed.
func (w *watch) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// partitioned waits until all records of the round are in batches, or one has
// failed.
func (w *watch) partitioned(ctx context.Context) error {
	w.mu.Lock()
	done := w.done
	w.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastError is why the last connection could not be made; nil after a success.
func (w *watch) lastError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// OnProduceRecordPartitioned implements kgo.HookProduceRecordPartitioned.
func (w *watch) OnProduceRecordPartitioned(*kgo.Record, int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing > 0 {
		w.missing--
		if w.missing == 0 {
			close(w.done)
		}
	}
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (w *watch) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}
