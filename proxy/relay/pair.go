// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay runs the two directions of a proxied connection as one pair:
// when one ends badly, both end, and whoever started the pair waits for both.
package relay

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Pump moves one direction until its source ends (nil), its context is done or
// it fails. It must return soon after its context is done; see [Interrupt].
type Pump func(ctx context.Context) error

// Pair runs a and b and returns when both have returned. The first error
// cancels the context of the other, with that error as the cause, and is the
// error returned. A pump that returns nil leaves the other running, so that a
// half-closed connection can still be answered. A panic in a pump is its
// error, a [*PanicError]: it ends this pair and not the proxy.
func Pair(ctx context.Context, a, b Pump) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first, second := make(chan error, 1), make(chan error, 1)
	go run(ctx, cancel, a, first)
	// The other runs here, so that a pair costs one goroutine and not two.
	run(ctx, cancel, b, second)

	var err error
	for range 2 {
		var ended error
		select {
		case ended = <-first:
			first = nil
		case ended = <-second:
			second = nil
		}
		if err == nil {
			err = ended
		}
	}
	return err
}

func run(ctx context.Context, cancel context.CancelCauseFunc, pump Pump, ended chan<- error) {
	err := guarded(ctx, pump)
	if err != nil {
		cancel(err)
		// The cause is whichever error came first, also where both pumps fail
		// before the pair looks: cancel keeps the first and ignores the rest.
		err = firstOf(ctx, err)
	}
	ended <- err
}

// firstOf prefers the cause of a pair's cancellation over the error a pump
// returned because of it. A pair ended from outside keeps the outside's cause.
func firstOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func guarded(ctx context.Context, pump Pump) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return pump(ctx)
}

// PanicError is the error of a pump that panicked. Its text names the type of
// the value only, since the value may hold bytes of the connection.
type PanicError struct {
	Value any
	Stack []byte
}

// Error says that a pump panicked.
func (e *PanicError) Error() string { return fmt.Sprintf("pump panicked: %T", e.Value) }
