// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"testing"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// tries is how often patient tries: a receiver's limit is found by halving.
const tries = 16

// patient makes sinks that try again, as a Shipper does.
func patient(fresh func(*testing.T) sink.Sink) func(*testing.T) sink.Sink {
	return func(t *testing.T) sink.Sink {
		t.Helper()
		return again{fresh(t)}
	}
}

type again struct{ sink.Sink }

func (a again) Write(ctx context.Context, batch []record.Record) error {
	var err error
	for range tries {
		if err = a.Sink.Write(ctx, batch); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
