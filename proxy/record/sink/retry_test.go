// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// refusing fails its first Write with an error and notes when each came.
type refusing struct {
	err  error
	came []time.Time
}

func (r *refusing) Write(context.Context, []record.Record) error {
	r.came = append(r.came, time.Now())
	if len(r.came) == 1 {
		return r.err
	}
	return nil
}

// single is the feed of a log that ended after one record.
type single struct{ acknowledged atomic.Int64 }

func (f *single) Next(context.Context, int, int) ([]record.Record, error) {
	if f.acknowledged.Load() == 1 {
		return nil, io.EOF
	}
	return sinktest.Records(0, 1), nil
}

func (f *single) Acknowledge(next int64) error {
	f.acknowledged.Store(next)
	return nil
}

func (f *single) Acknowledged() int64 { return f.acknowledged.Load() }
func (f *single) Durable() int64      { return 1 }
func (f *single) Missed() int64       { return 0 }

func TestRetryAfter(t *testing.T) {
	cases := map[string]struct {
		reason   string
		err      error
		min, max time.Duration
	}{
		"None":   {"without a word of the destination the usual pause holds", errors.New("boom"), 50 * time.Millisecond, 100 * time.Millisecond},
		"Asked":  {"the destination's pause is kept", &sink.Failure{After: 90 * time.Second}, 90 * time.Second, 90 * time.Second},
		"Within": {"also behind another error", fmt.Errorf("cannot: %w", &sink.Failure{After: 2 * time.Second}), 2 * time.Second, 2 * time.Second},
		"Short":  {"a pause shorter than the usual one changes nothing", &sink.Failure{After: time.Millisecond}, 50 * time.Millisecond, 100 * time.Millisecond},
		"Hostile": {
			"no destination can hold up delivery for a day",
			&sink.Failure{After: 24 * time.Hour},
			sink.MaxRetryAfter, sink.MaxRetryAfter,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &refusing{err: tc.err}
				shipper, err := sink.NewShipper([]sink.Target{{Name: "out", Sink: s, Feed: new(single)}}, sink.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := shipper.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(s.came) != 2 {
					t.Fatalf("%d Writes, want 2", len(s.came))
				}
				if pause := s.came[1].Sub(s.came[0]); pause < tc.min || pause > tc.max {
					t.Errorf("%s: pause %s, want %s to %s", tc.reason, pause, tc.min, tc.max)
				}
			})
		})
	}
}
