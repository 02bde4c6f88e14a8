// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/proxy/identity/sharing"
)

// WatchSharing registers the figures of what looks for credentials that are used from
// several places.
func (m *Metrics) WatchSharing(d *sharing.Detector) {
	m.gauge("credentials_followed", "Credentials whose places are remembered, to find those that are used from several.", "", func() float64 { return float64(d.Proofs()) })
	for name, counter := range map[string]struct {
		help  string
		value func() uint64
	}{
		"credentials_untracked_total": {"Uses of credentials that were not followed for want of room.", d.Untracked},
		"credentials_forgotten_total": {"Credentials without a session that were forgotten early, to make room for others.", d.Forgotten},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: name, Help: counter.help,
		}, func() float64 { return float64(counter.value()) }))
	}
}
