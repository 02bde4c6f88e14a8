// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the figures of one proxy. Each is listed in
// docs/operations/metrics.md, and a test compares.
type Metrics struct {
	registry *prometheus.Registry

	acceptErrors  *prometheus.CounterVec
	sessionsTotal *prometheus.CounterVec
	turnedAway    *prometheus.CounterVec
	panics        *prometheus.CounterVec
	reviews       *prometheus.CounterVec
	recordings    *prometheus.CounterVec
	road          *road
	log           *logFigures
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
		reviews:       newReviews(),
		recordings:    newRecordings(),
		road:          newRoad(),
		log:           newLogFigures(),
	}
	m.registry.MustRegister(m.acceptErrors, m.sessionsTotal, m.turnedAway, m.panics, m.reviews, m.recordings,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.road.collectors()...)
	m.registry.MustRegister(m.log.sync, m.log.group)
	return m
}

// Registry takes further figures.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// BuildInfo registers which version this is.
func (m *Metrics) BuildInfo(version string) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "doorward", Name: "build_info", Help: "1; the labels say which version runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 }))
}

// gauge registers what is read when it is asked for; of one Connection, where
// that is named.
func (m *Metrics) gauge(name, help, connection string, value func() float64) {
	options := prometheus.GaugeOpts{Namespace: "doorward", Subsystem: "proxy", Name: name, Help: help}
	if connection != "" {
		options.ConstLabels = prometheus.Labels{"connection": connection}
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(options, value))
}

// watch registers what is read from a server when it is asked for.
func (m *Metrics) watch(s *Server) {
	m.gauge("unproven", "Clients that have no session yet.", "", func() float64 { return float64(s.unproven.len()) })
	for _, endpoint := range s.endpoints {
		gate, name := endpoint.Gate, endpoint.Name
		// That of a Connection nothing has happened to yet is 0, not absent.
		for _, vec := range []*prometheus.CounterVec{m.acceptErrors, m.sessionsTotal, m.turnedAway, m.panics} {
			vec.WithLabelValues(name)
		}
		m.gauge("sessions", "Live sessions.", name, func() float64 { return float64(gate.Sessions()) })
		m.gauge("ready", "1 where a session could be opened now, else 0.", name, func() float64 { return truth(gate.Ready() == nil) })
		for result, count := range map[string]func() uint64{
			"Hit":  func() uint64 { hits, _ := gate.CacheStats(); return hits },
			"Miss": func() uint64 { _, misses := gate.CacheStats(); return misses },
		} {
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
				Namespace: "doorward", Subsystem: "proxy", Name: "decision_cache_lookups_total",
				Help:        "Decisions of policies by whether they came from the cache.",
				ConstLabels: prometheus.Labels{"connection": name, "result": result},
			}, func() float64 { return float64(count()) }))
		}
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: "shared_credentials_total",
			Help:        "Times that a credential was found to be used from several places, in what concerns the Connection.",
			ConstLabels: prometheus.Labels{"connection": name},
		}, func() float64 { return float64(gate.SharedCredentials()) }))
		m.gauge("snapshot_revision", "Revision of the snapshot in force.", name, func() float64 { return float64(gate.Revision()) })
		m.gauge("snapshot_published_timestamp_seconds", "When the snapshot in force was published, in Unix time; 0 where there is none.", name, func() float64 {
			published, _ := gate.Proof()
			return unix(published)
		})
		m.gauge("snapshot_proven_timestamp_seconds", "When the snapshot was last proven to be the current one, in Unix time; 0 where it was not.", name, func() float64 {
			_, proven := gate.Proof()
			return unix(proven)
		})
		m.gauge("held_operations", "Operations that wait for approval.", name, func() float64 {
			count, _ := gate.Held()
			return float64(count)
		})
		m.gauge("held_operation_oldest_seconds", "How long the oldest of the held operations has waited; 0 where none is held.", name, func() float64 {
			_, since := gate.Held()
			if since.IsZero() {
				return 0
			}
			return time.Since(since).Seconds()
		})
	}
}

// WatchExpiry registers when a certificate or token ends: name is "serving
// certificate of a Connection" or the proxy's own token. The zero time is shown
// as 0.
func (m *Metrics) WatchExpiry(name, help, connection string, expiry func() time.Time) {
	m.gauge(name, help, connection, func() float64 { return unix(expiry()) })
}

// unix is a time as Prometheus has it, 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
