// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the figures of one proxy.
type Metrics struct {
	registry *prometheus.Registry

	acceptErrors  *prometheus.CounterVec
	sessionsTotal *prometheus.CounterVec
	turnedAway    *prometheus.CounterVec
	panics        *prometheus.CounterVec
}

// NewMetrics makes the figures in a registry of their own.
func NewMetrics() *Metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: name, Help: help,
		}, []string{"connection"})
	}
	m := &Metrics{
		registry:      prometheus.NewRegistry(),
		acceptErrors:  counter("accept_errors_total", "Errors of accepting a connection."),
		sessionsTotal: counter("sessions_total", "Sessions that were opened."),
		turnedAway:    counter("turned_away_total", "Clients that took too long to log in, or were too many."),
		panics:        counter("panics_total", "Handlers that panicked."),
	}
	m.registry.MustRegister(m.acceptErrors, m.sessionsTotal, m.turnedAway, m.panics,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registry takes further figures, such as those of the log.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// watch registers what is read from a server when it is asked for.
func (m *Metrics) watch(s *Server) {
	gauge := func(name, help, connection string, value func() float64) {
		options := prometheus.GaugeOpts{Namespace: "doorward", Subsystem: "proxy", Name: name, Help: help}
		if connection != "" {
			options.ConstLabels = prometheus.Labels{"connection": connection}
		}
		m.registry.MustRegister(prometheus.NewGaugeFunc(options, value))
	}
	gauge("unproven", "Clients that have no session yet.", "", func() float64 { return float64(s.unproven.len()) })
	for _, endpoint := range s.endpoints {
		gate, name := endpoint.Gate, endpoint.Name
		gauge("sessions", "Live sessions.", name, func() float64 { return float64(gate.Sessions()) })
		gauge("snapshot_revision", "Revision of the snapshot in force.", name, func() float64 { return float64(gate.Revision()) })
	}
}

// Log is what the figures of the log are read from.
type Log interface {
	// Durable is the number of records on disk.
	Durable() int64
	// Err is why the log accepts nothing now, or nil.
	Err() error
}

// WatchLog registers the figures of the log; usage returns how many bytes hold
// records, and how many there may be.
func (m *Metrics) WatchLog(log Log, usage func() (used, limit int64)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "doorward", Name: "log_bytes", Help: "Bytes of the log that hold records.",
		}, func() float64 {
			used, _ := usage()
			return float64(used)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "doorward", Name: "log_bytes_max", Help: "Bytes at which the log is full and operations are refused.",
		}, func() float64 {
			_, limit := usage()
			return float64(limit)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: "log_records", Help: "Records that are on disk.",
		}, func() float64 { return float64(log.Durable()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: "log_writable", Help: "1 where the log accepts records, else 0.",
		}, func() float64 {
			if log.Err() != nil {
				return 0
			}
			return 1
		}))
}
