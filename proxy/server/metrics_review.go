// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "github.com/prometheus/client_golang/prometheus"

func newReviews() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "doorward", Subsystem: "proxy", Name: "reviews_total",
		Help: "Questions of callers about what they may do, by what came of them.",
	}, []string{"connection", "outcome"})
}

// Reviews counts the questions about access to a Connection, by these outcomes.
func (m *Metrics) Reviews(connection string, outcomes []string) func(outcome string) {
	for _, outcome := range outcomes {
		m.reviews.WithLabelValues(connection, outcome) // begins at 0
	}
	return func(outcome string) { m.reviews.WithLabelValues(connection, outcome).Inc() }
}
