// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kit is what all reconcilers share: running steps in order, one patch
// at the end, conditions as data, server-side apply, and errors that say
// whether to try again.
package kit

import (
	"errors"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Stalled says that trying again is of no use until somebody changes an
// object. Reason is a condition reason.
type Stalled struct {
	Reason string
	Err    error
}

func (e *Stalled) Error() string { return e.Err.Error() }
func (e *Stalled) Unwrap() error { return e.Err }

// Waiting says that the world is not ready yet, which is no failure: look again
// after a while. Reason is a condition reason.
type Waiting struct {
	Reason string
	After  time.Duration
	Err    error
}

func (e *Waiting) Error() string { return e.Err.Error() }
func (e *Waiting) Unwrap() error { return e.Err }

// Result turns the outcome of a reconciliation into what controller-runtime is
// told: Stalled ends in a terminal error, Waiting in a later run, any other
// error in a retry with back-off. Without an error the next run is due after
// the given time; zero means that only a change brings one.
func Result(err error, after time.Duration) (ctrl.Result, error) {
	var stalled *Stalled
	var waiting *Waiting
	switch {
	case err == nil:
		return ctrl.Result{RequeueAfter: after}, nil
	case errors.As(err, &waiting):
		if after > 0 {
			return ctrl.Result{RequeueAfter: min(after, waiting.After)}, nil
		}
		return ctrl.Result{RequeueAfter: waiting.After}, nil
	case errors.As(err, &stalled):
		return ctrl.Result{}, reconcile.TerminalError(err)
	default:
		return ctrl.Result{}, err
	}
}

// Reason returns the condition reason an error carries, else the given one.
func Reason(err error, otherwise string) string {
	var stalled *Stalled
	var waiting *Waiting
	switch {
	case errors.As(err, &stalled):
		return stalled.Reason
	case errors.As(err, &waiting):
		return waiting.Reason
	default:
		return otherwise
	}
}
