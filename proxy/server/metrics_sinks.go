// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/proxy/record/sink"
)

// sinkFigures makes figures of the statuses of sinks, which come and go.
type sinkFigures struct {
	statuses                                  func() []sink.Status
	lag, acknowledged, failures, missed, open *prometheus.Desc
}

// WatchSinks registers the figures of the LogSinks.
func (m *Metrics) WatchSinks(statuses func() []sink.Status) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("doorward", "sink", name), help, []string{"sink"}, nil)
	}
	m.registry.MustRegister(&sinkFigures{
		statuses:     statuses,
		lag:          desc("lag_records", "Records that the LogSink has not acknowledged."),
		acknowledged: desc("last_acknowledged_timestamp_seconds", "When the LogSink last acknowledged records, in Unix time; absent where it has not yet."),
		failures:     desc("failures_total", "Failed attempts to deliver to the LogSink."),
		missed:       desc("missed_records_total", "Records that were deleted before the LogSink came, or came back."),
		open:         desc("reachable", "1 where the LogSink took the last batch or was not tried yet, else 0."),
	})
}

// Describe implements prometheus.Collector.
func (f *sinkFigures) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.lag, f.acknowledged, f.failures, f.missed, f.open} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (f *sinkFigures) Collect(c chan<- prometheus.Metric) {
	for _, s := range f.statuses() {
		gauge := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
			c <- prometheus.MustNewConstMetric(d, kind, value, s.Name)
		}
		gauge(f.lag, prometheus.GaugeValue, float64(s.Lag))
		gauge(f.failures, prometheus.CounterValue, float64(s.FailuresTotal))
		gauge(f.missed, prometheus.CounterValue, float64(s.Missed))
		reachable := 0.0
		if s.Reachable {
			reachable = 1
		}
		gauge(f.open, prometheus.GaugeValue, reachable)
		if !s.LastSuccess.IsZero() {
			gauge(f.acknowledged, prometheus.GaugeValue, float64(s.LastSuccess.UnixNano())/1e9)
		}
	}
}
