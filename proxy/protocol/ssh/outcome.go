// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strconv"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/record"
)

// The outcomes of operations.
const (
	succeeded = "Succeeded"
	failed    = "Failed"
	canceled  = "Canceled"
	unknown   = "Unknown"
)

// outcome is what came of an operation of which there is nothing more to say.
func outcome(word string) record.Result { return record.Result{Outcome: word} }

// failure is what came of an operation that did not come to its end, and why.
func failure(why string) record.Result { return record.Result{Outcome: failed, ErrorCode: why} }

// exited is what came of a program, by what the target said of its end (RFC 4254, section
// 6.10); nil where it said nothing.
func exited(e *record.Exit) record.Result {
	switch {
	case e == nil:
		return outcome(unknown)
	case e.Signal != "":
		return record.Result{Outcome: failed, ErrorCode: "signal " + plain(e.Signal), Exit: e}
	case e.Status != 0:
		return record.Result{Outcome: failed, ErrorCode: "exit " + strconv.FormatUint(uint64(e.Status), 10), Exit: e}
	}
	return record.Result{Outcome: succeeded, Exit: e}
}

// tally counts the bytes of an operation, from both directions.
type tally struct{ toCaller, toTarget atomic.Int64 }

// into adds what went through to a result.
func (t *tally) into(r record.Result) record.Result {
	r.Bytes = t.toCaller.Load()
	if n := t.toTarget.Load(); n > 0 {
		r.Transfers = append(r.Transfers, record.Transfer{Direction: record.ToTarget, Bytes: n})
	}
	if r.Bytes > 0 {
		r.Transfers = append(r.Transfers, record.Transfer{Direction: record.ToCaller, Bytes: r.Bytes})
	}
	return r
}
