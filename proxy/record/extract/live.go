// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package extract

import "time"

// Live is what is followed of a session that goes on.
type Live struct {
	Session string
	// First is the index of the session's first record. No checkpoint is given that does
	// not cover the record Through.
	First, Through int64
	// Until is when it ends though the session goes on.
	Until time.Time
	// Beat is how often an empty line is written where nothing happens.
	Beat time.Duration
	// Pushed is called when all that was written should reach the reader.
	Pushed func() error
}
