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
	"github.com/doorward/doorward/controllers/recordings"
)

// Figures count what the manager does. The zero pointer counts nothing.
type Figures struct {
	published  *prometheus.HistogramVec
	repaired   prometheus.Counter
	heartbeats *prometheus.CounterVec
	approvals  *prometheus.CounterVec
	shared     prometheus.Counter
	recordings *prometheus.CounterVec
	notified   *prometheus.CounterVec
	waiting    *prometheus.GaugeVec
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
		notified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "notifications_total",
			Help: "Attempts to tell the receiver of a Notifier, and notifications given up, by result.",
		}, []string{"notifier", "result"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "notifications_waiting",
			Help: "Notifications that the receiver of a Notifier has not taken yet.",
		}, []string{"notifier"}),
	}
	f.shared = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "shared_credentials_total",
		Help: "Times that AuditSessions of several proxies were found to be of one credential, at the same time and from different networks.",
	})
	f.recordings = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "recording_requests_total",
		Help: "Requests for recordings of sessions to this manager, by what came of them.",
	}, []string{"outcome"})
	for _, outcome := range recordings.Outcomes() {
		f.recordings.WithLabelValues(outcome)
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
	for _, c := range []prometheus.Collector{f.published, f.repaired, f.heartbeats, f.approvals, f.breakGlass, f.shared, f.recordings, f.notified, f.waiting, build} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Recording takes note of what came of a request for a recording.
func (f *Figures) Recording(outcome string) {
	if f != nil {
		f.recordings.WithLabelValues(outcome).Inc()
	}
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

// Shared takes note of a credential that several proxies see used from different networks.
func (f *Figures) Shared() {
	if f != nil {
		f.shared.Inc()
	}
}

// Notified takes note of an attempt to tell the receiver of a Notifier, or of a
// notification that was given up.
func (f *Figures) Notified(notifier, result string) {
	if f != nil {
		f.notified.WithLabelValues(notifier, result).Inc()
	}
}

// NotificationsWaiting takes note of how many notifications a receiver has not taken.
func (f *Figures) NotificationsWaiting(notifier string, count int) {
	if f != nil {
		f.waiting.WithLabelValues(notifier).Set(float64(count))
		for _, result := range []string{"Sent", failed, "GivenUp"} {
			f.notified.WithLabelValues(notifier, result) // a rise from nothing would be no rise
		}
	}
}

// NotifierGone drops the figures of a Notifier.
func (f *Figures) NotifierGone(notifier string) {
	if f != nil {
		f.notified.DeletePartialMatch(prometheus.Labels{"notifier": notifier})
		f.waiting.DeleteLabelValues(notifier)
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
