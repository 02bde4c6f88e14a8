// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Log is what the figures of the log are read from.
type Log interface {
	// Durable is the number of records on disk.
	Durable() int64
	// Err is why the log accepts nothing now, or nil.
	Err() error
}

// logFigures are what the log tells while it writes.
type logFigures struct {
	sync, group prometheus.Histogram
}

func newLogFigures() *logFigures {
	return &logFigures{
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "doorward", Name: "log_sync_duration_seconds",
			Help: "How long it took to put a group of records on disk.", Buckets: prometheus.ExponentialBuckets(100e-6, 2, 15),
		}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "doorward", Name: "log_group_records",
			Help: "Records that were put on disk together.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
}

// Committed takes note of a group of records that was put on disk: the log's
// Options.Committed.
func (m *Metrics) Committed(records int, took time.Duration) {
	m.log.sync.Observe(took.Seconds())
	m.log.group.Observe(float64(records))
}

// WatchLog registers the figures of the log; usage returns how many bytes hold
// records, and how many there may be.
func (m *Metrics) WatchLog(log Log, usage func() (used, limit int64)) {
	gauge := func(subsystem, name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "doorward", Subsystem: subsystem, Name: name, Help: help,
		}, value))
	}
	gauge("", "log_bytes", "Bytes of the log that hold records.", func() float64 {
		used, _ := usage()
		return float64(used)
	})
	gauge("", "log_bytes_max", "Bytes at which the log is full and operations are refused.", func() float64 {
		_, limit := usage()
		return float64(limit)
	})
	gauge("proxy", "log_records", "Records that are on disk.", func() float64 { return float64(log.Durable()) })
	gauge("proxy", "log_writable", "1 where the log accepts records, else 0.", func() float64 { return truth(log.Err() == nil) })
}

// WatchWitness registers how far the witness is behind the log; held is the
// number of records that it has acknowledged.
func (m *Metrics) WatchWitness(log Log, held func() int64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "doorward", Name: "log_witness_lag_records", Help: "Records on disk that the witness has not acknowledged a checkpoint of.",
	}, func() float64 { return float64(max(0, log.Durable()-held())) }))
}
