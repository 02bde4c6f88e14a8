// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"fmt"
	"slices"
)

// Account is what happened, by four witnesses: the target's log, the target's
// table, the clients, and the record. Maps are by mark.
type Account struct {
	// Executed is how often the target was sent it to execute.
	Executed map[string]int
	// Changed is what the target's table has.
	Changed map[string]bool
	// Delivered: a client got something of the answer. Answered: it got the
	// answer to its end, without an error.
	Delivered, Answered map[string]bool
	// Recorded is how often it was let through on record, Succeeded how often
	// it is said there to have been executed well.
	Recorded, Succeeded map[string]int
	// ReadOverlap: reads may be executed before they are on record.
	ReadOverlap bool
}

// Problems are what promise 2 forbids, sorted.
func (a Account) Problems() (out []string) {
	out = append(a.Unrecorded(), a.Unexecuted()...)
	slices.Sort(out)
	return out
}

// Unrecorded is what was executed, or seen by a client, and is not on record.
func (a Account) Unrecorded() (out []string) {
	for text, n := range a.Executed {
		if mayBeMissing := a.ReadOverlap && Reads(text); a.Recorded[text] < n && !mayBeMissing {
			out = append(out, fmt.Sprintf("%s: executed %d times, on record %d times", text, n, a.Recorded[text]))
		}
	}
	for text := range a.Changed {
		if a.Recorded[text] == 0 {
			out = append(out, text+": changed the target, not on record")
		}
	}
	for text := range a.Delivered {
		if a.Recorded[text] == 0 {
			out = append(out, text+": delivered to the client, not on record")
		}
	}
	slices.Sort(out)
	return out
}

// Unexecuted is what was answered well, or is said on record to have been, and
// was not executed that often.
func (a Account) Unexecuted() (out []string) {
	for text := range a.Answered {
		if a.Executed[text] == 0 {
			out = append(out, text+": answered, not executed")
		}
	}
	for text, n := range a.Succeeded {
		if a.Executed[text] < n {
			out = append(out, fmt.Sprintf("%s: succeeded %d times on record, executed %d times", text, n, a.Executed[text]))
		}
	}
	slices.Sort(out)
	return out
}
