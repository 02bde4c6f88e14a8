// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "github.com/prometheus/client_golang/prometheus"

func newRecordings() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "doorward", Subsystem: "proxy", Name: "recording_reads_total",
		Help: "Requests of the manager for recordings of sessions, by what came of them.",
	}, []string{"connection", "outcome"})
}

// Recordings counts the requests for recordings of a Connection, by these outcomes.
func (m *Metrics) Recordings(connection string, outcomes []string) func(outcome string) {
	for _, outcome := range outcomes {
		m.recordings.WithLabelValues(connection, outcome) // begins at 0
	}
	return func(outcome string) { m.recordings.WithLabelValues(connection, outcome).Inc() }
}
