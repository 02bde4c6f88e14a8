// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// mute is a side that answers nothing until it is closed.
type mute struct {
	ssh.Conn

	closed chan struct{}
	asked  atomic.Int64
}

func (m *mute) SendRequest(string, bool, []byte) (bool, []byte, error) {
	m.asked.Add(1)
	<-m.closed
	return false, nil, errors.New("closed")
}

func (m *mute) Wait() error {
	<-m.closed
	return nil
}

func (m *mute) Close() error {
	close(m.closed)
	return nil
}

// TestWatch: whoever sends is alive, also where the answer to the question does not come, which is
// then asked once; whoever sends nothing is left.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		s := &session{cancel: cancel, options: options{KeepAliveSeconds: 30}}
		m := &mute{closed: make(chan struct{})}
		var heard atomic.Int64
		s.serving.Go(func() { s.watch(ctx, &peer{Conn: m, heard: &heard}, errLeft) })
		for range 20 {
			<-time.After(100 * time.Second)
			heard.Add(1)
			if err := context.Cause(ctx); err != nil {
				t.Fatalf("a side that sends is left: %v", err)
			}
		}
		<-time.After(10 * time.Minute)
		s.serving.Wait()
		if err := context.Cause(ctx); !errors.Is(err, errSilent) || !errors.Is(err, errLeft) {
			t.Errorf("a side that sends nothing is not left: %v", err)
		}
		if n := m.asked.Load(); n != 1 {
			t.Errorf("asked %d times at once", n)
		}
	})
}
