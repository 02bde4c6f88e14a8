// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestDeadline: an evaluation ends with its context, or when its time is over, within a
// few steps of the interpreter.
func TestDeadline(t *testing.T) {
	later := time.Now().Add(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	d := deadline{ctx: ctx, until: later}
	for range 10 * deadlineSteps {
		if d.Cancelled() {
			t.Fatal("it ends before its time")
		}
	}
	cancel()
	ended := false
	for range deadlineSteps + 1 {
		ended = ended || d.Cancelled()
	}
	if !ended || !errors.Is(d.err(), context.Canceled) {
		t.Errorf("with its context: ended %t, %v", ended, d.err())
	}

	d = deadline{ctx: t.Context(), until: time.Now().Add(-time.Second)}
	if !d.Cancelled() || !errors.Is(d.err(), context.DeadlineExceeded) {
		t.Errorf("after its time: %v", d.err())
	}

	d = deadline{ctx: t.Context(), until: later}
	d.Cancel()
	if !d.Cancelled() || d.err() == nil {
		t.Errorf("cancelled: %v", d.err())
	}
}

// TestDecideEndsWithItsContext: what could not be evaluated is an error, hence a refusal,
// and is not kept.
func TestDecideEndsWithItsContext(t *testing.T) {
	s := stands(t, engine(t, shop()), caller("alice", "analysts"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := s.Decide(ctx, op("select public.orders"), noon); !errors.Is(err, context.Canceled) {
		t.Errorf("Decide = %+v, %v, want the context's error", got, err)
	}
	if got, err := s.Decide(t.Context(), op("select public.orders"), noon); err != nil || got.Effect != "Allow" {
		t.Errorf("Decide = %+v, %v, want Allow", got, err)
	}
}
