// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sink delivers records to where logs are kept. It defines the Sink
// that each destination implements in a folder below, and the Shipper that
// feeds them.
//
// Delivery is at least once: after a failure or a crash, a sink gets records
// again that it already has. A record's id, log id and index, tells them.
package sink

import (
	"context"

	"github.com/doorward/doorward/proxy/record"
)

// Sink takes records. Calls come one at a time, records in the order of their
// index. The conformance kit is package sinktest.
type Sink interface {
	// Write returns nil only when the destination has accepted all records of
	// the batch for good. After an error, the same records come again, maybe
	// in other batches. It returns soon after ctx ends. It keeps no record
	// beyond its return, and modifies none.
	Write(ctx context.Context, batch []record.Record) error
}

// Feed is where a Shipper gets one sink's records; spool.Feed implements it.
type Feed interface {
	// Next waits for records that the sink has not acknowledged, at most count
	// of them and about size bytes. It returns io.EOF after the log's end.
	Next(ctx context.Context, count, size int) ([]record.Record, error)
	// Acknowledge says that the sink has all records before next.
	Acknowledge(next int64) error
	// Acknowledged is the index of the first record not acknowledged.
	Acknowledged() int64
	// Durable is the number of records in the log.
	Durable() int64
	// Missed is the number of records deleted before the sink came.
	Missed() int64
}
