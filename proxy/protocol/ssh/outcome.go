// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strconv"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/protocol/ssh/sftp"
)

// The outcomes of operations.
const (
	succeeded = "Succeeded"
	failed    = "Failed"
	canceled  = "Canceled"
	unknown   = "Unknown"
)

// outcome is what came of an operation, for its record.
type outcome struct {
	word string
	// code says how a program ended or why something failed; empty where there is no more to say.
	code string
	// toCaller and toTarget are the bytes that went through; names are those of a listing.
	toCaller, toTarget int64
	names              int64
	// read and written are what went through a file of SFTP, with its digests; nil for others.
	read, written *sftp.Transfer
	// status is the exit status, signal the name of the signal that ended the program; exited
	// says that the target said so.
	exited bool
	status uint32
	signal string
	dumped bool
}

// exit is how a program ended (RFC 4254, section 6.10).
type exit struct {
	status uint32
	signal string
	dumped bool
}

func (o *outcome) exit(e *exit) {
	switch {
	case e == nil:
		o.word = unknown
		return
	case e.signal != "":
		o.word, o.code = failed, "signal "+plain(e.signal)
	case e.status != 0:
		o.word, o.code = failed, "exit "+strconv.FormatUint(uint64(e.status), 10)
	default:
		o.word = succeeded
	}
	o.exited, o.status, o.signal, o.dumped = true, e.status, e.signal, e.dumped
}

// tally counts the bytes of an operation, from both directions.
type tally struct{ toCaller, toTarget atomic.Int64 }

// into puts the counts into an outcome.
func (t *tally) into(o outcome) outcome {
	o.toCaller, o.toTarget = t.toCaller.Load(), t.toTarget.Load()
	return o
}
