// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package directway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var open = prometheus.NewDesc("doorward_isolation_open",
	"1 where the manager could connect to a target of an isolated Connection directly, 0 where it could not; absent where it was not tried lately.",
	// Not a label "namespace": the scrape has one of its own, the manager's.
	[]string{"connection"}, nil)

var _ prometheus.Collector = (*Prober)(nil)

// Describe implements prometheus.Collector.
func (p *Prober) Describe(ch chan<- *prometheus.Desc) { ch <- open }

// Collect implements prometheus.Collector.
func (p *Prober) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for connection, w := range p.wanted {
		// A way that was open is, until it is seen to be closed.
		if w.result == nil || len(w.result.Open) == 0 && (len(w.result.Closed) == 0 || now.After(w.result.Until)) {
			continue
		}
		value := 0.0
		if len(w.result.Open) > 0 {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(open, prometheus.GaugeValue, value, connection.String())
	}
}
