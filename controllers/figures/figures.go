// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package figures are the manager's own metrics, beside those that
// controller-runtime and client-go bring. Each is listed in
// docs/operations/metrics.md, and a test compares.
package figures

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/controllers/approvalrequest"
)

// Figures count what the manager does. The zero pointer counts nothing.
type Figures struct {
	published  *prometheus.HistogramVec
	repaired   prometheus.Counter
	heartbeats *prometheus.CounterVec
	approvals  *prometheus.CounterVec
	breakGlass *prometheus.CounterVec
}

const (
	namespace = "doorward"
	subsystem = "manager"
)

// The results of an attempt.
const (
	succeeded = "Succeeded"
	failed    = "Failed"
)

// New makes figures of a manager of a version.
func New(registerer prometheus.Registerer, version string) (*Figures, error) {
	f := &Figures{
		published: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "snapshot_publish_duration_seconds",
			Help:    "How long it took to bring the snapshot of a Connection up to date in the API server, by result.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 14),
		}, []string{"result"}),
		repaired: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "snapshots_repaired_total",
			Help: "Snapshots that had been deleted, overwritten or rolled back by somebody else.",
		}),
		heartbeats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "heartbeats_total",
			Help: "Heartbeats of snapshots, by result.",
		}, []string{"result"}),
		approvals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "approvals_total",
			Help: "Changes of the phase of ApprovalRequests that this manager judged, by phase.",
		}, []string{"phase"}),
		breakGlass: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "break_glass_total",
			Help: "What came of requests to go ahead without approvals: Activated, Refused, and later Reviewed.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{approvalrequest.BreakGlassActivated, approvalrequest.BreakGlassRefused, approvalrequest.BreakGlassReviewed} {
		f.breakGlass.WithLabelValues(outcome)
	}
	for _, result := range []string{succeeded, failed} {
		f.published.WithLabelValues(result)
		f.heartbeats.WithLabelValues(result)
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1; the labels say which version runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{f.published, f.repaired, f.heartbeats, f.approvals, f.breakGlass, build} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Published takes note of a snapshot that was made current, or could not be.
func (f *Figures) Published(took time.Duration, repaired bool, err error) {
	if f == nil {
		return
	}
	f.published.WithLabelValues(result(err)).Observe(took.Seconds())
	if repaired {
		f.repaired.Inc()
	}
}

// Beat takes note of a heartbeat.
func (f *Figures) Beat(err error) {
	if f != nil {
		f.heartbeats.WithLabelValues(result(err)).Inc()
	}
}

// Approval takes note that a request came to a phase.
func (f *Figures) Approval(phase string) {
	if f != nil {
		f.approvals.WithLabelValues(phase).Inc()
	}
}

// BreakGlass takes note of what came of a request to go ahead without approvals.
func (f *Figures) BreakGlass(outcome string) {
	if f != nil {
		f.breakGlass.WithLabelValues(outcome).Inc()
	}
}

func result(err error) string {
	if err != nil {
		return failed
	}
	return succeeded
}
