// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import "github.com/doorward/doorward/proxy/record"

// unclosed is the error of a file that the session ended before.
const unclosed = "not closed"

// Record is the result as a record has it: what went through a file is a transfer each way.
func (r *Result) Record() record.Result {
	result := record.Result{Outcome: r.Outcome, Rows: r.Entries, Bytes: r.Read.Bytes}
	switch {
	case r.Status != StatusOK:
		result.ErrorCode = r.Status.String()
	case r.Unclosed:
		// It may have been meant to go on: what went through is not known to be all.
		result.ErrorCode = unclosed
		if result.Outcome == Succeeded {
			result.Outcome = Unknown
		}
	}
	if r.Written.went() {
		result.Transfers = append(result.Transfers, r.Written.record(record.ToTarget))
	}
	if r.Read.went() {
		result.Transfers = append(result.Transfers, r.Read.record(record.ToCaller))
	}
	return result
}

// went says that something was transferred, or asked for.
func (t *Transfer) went() bool { return t.Bytes != 0 || t.Digest != "" || t.Undigested != "" }

func (t *Transfer) record(direction record.Direction) record.Transfer {
	return record.Transfer{Direction: direction, Bytes: t.Bytes, Offset: t.Offset, Digest: t.Digest, Undigested: t.Undigested}
}
