// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// road are the figures of what happens on the road. Their labels have few
// values: no names of users, nothing of a statement.
type road struct {
	refusedLogins, endedSessions, dials            *prometheus.CounterVec
	operations, refusedOperations, results         *prometheus.CounterVec
	rows, bytes, maskedValues, audits              *prometheus.CounterVec
	transferred                                    *prometheus.CounterVec
	sessionDuration, dialDuration, phase, approval *prometheus.HistogramVec
}

func newRoad() *road {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: name, Help: help,
		}, append([]string{"connection"}, labels...))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "doorward", Subsystem: "proxy", Name: name, Help: help, Buckets: buckets,
		}, append([]string{"connection"}, labels...))
	}
	return &road{
		refusedLogins:     counter("logins_refused_total", "Clients that got no session, by reason.", "reason"),
		endedSessions:     counter("sessions_ended_total", "Sessions that ended, by reason.", "reason"),
		sessionDuration:   histogram("session_duration_seconds", "How long sessions lasted.", prometheus.ExponentialBuckets(0.1, 4, 11)),
		dials:             counter("dials_total", "Attempts to reach a target and log in there, by outcome.", "outcome"),
		dialDuration:      histogram("dial_duration_seconds", "How long such an attempt took.", prometheus.ExponentialBuckets(1e-3, 2, 14)),
		operations:        counter("operations_total", "Operations that were decided, by effect.", "effect"),
		refusedOperations: counter("operations_refused_total", "Operations that were not forwarded, by reason.", "reason"),
		results:           counter("operation_results_total", "Operations that were forwarded, by outcome.", "outcome"),
		rows:              counter("result_rows_total", "Rows that were returned to callers."),
		bytes:             counter("result_bytes_total", "Bytes of results that were returned to callers."),
		transferred:       counter("transferred_bytes_total", "Bytes of files, streams and tunnels that went through, by direction.", "direction"),
		maskedValues:      counter("masked_values_total", "Values that were masked in results."),
		audits:            counter("audit_changes_total", "Operations that policies in mode Audit would have changed, by what they would have done.", "effect"),
		phase: histogram("operation_phase_duration_seconds", "How long the phases of operations took: parse, decide, record, target (until its answer begins), answer.",
			prometheus.ExponentialBuckets(10e-6, 4, 12), "phase"),
		approval: histogram("approval_wait_duration_seconds", "How long held operations waited, by what became of the request.",
			prometheus.ExponentialBuckets(1, 2, 13), "outcome"),
	}
}

func (r *road) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		r.refusedLogins, r.endedSessions, r.sessionDuration, r.dials, r.dialDuration, r.operations, r.refusedOperations, r.results,
		r.rows, r.bytes, r.transferred, r.maskedValues, r.audits, r.phase, r.approval,
	}
}

// Observe makes figures of what happens on the road of a Connection.
func (m *Metrics) Observe(connection string) access.Observer {
	r := m.road
	phase := func(name string) prometheus.Observer { return r.phase.WithLabelValues(connection, name) }
	o := &observer{
		road: r, connection: connection,
		sessionDuration: r.sessionDuration.WithLabelValues(connection), dialDuration: r.dialDuration.WithLabelValues(connection),
		rows: r.rows.WithLabelValues(connection), bytes: r.bytes.WithLabelValues(connection), masked: r.maskedValues.WithLabelValues(connection),
		allowed:  r.operations.WithLabelValues(connection, string(policy.Allow)),
		denied:   r.operations.WithLabelValues(connection, string(policy.Deny)),
		approved: r.operations.WithLabelValues(connection, string(policy.RequireApproval)),
		parse:    phase("parse"), decide: phase("decide"), record: phase("record"), target: phase("target"), answer: phase("answer"),
		results: map[string]prometheus.Counter{}, audits: map[policy.Effect]prometheus.Counter{}, transfers: map[record.Direction]prometheus.Counter{},
	}
	for _, direction := range []record.Direction{record.ToTarget, record.ToCaller} {
		o.transfers[direction] = r.transferred.WithLabelValues(connection, string(direction))
	}
	for _, effect := range []policy.Effect{policy.Deny, policy.RequireApproval, policy.Allow, access.WouldMask} {
		o.audits[effect] = r.audits.WithLabelValues(connection, string(effect))
	}
	for _, outcome := range []string{"Succeeded", "Failed", "Canceled", "Unknown"} {
		o.results[outcome] = r.results.WithLabelValues(connection, outcome)
	}
	for _, outcome := range []string{dialed, notDialed} {
		r.dials.WithLabelValues(connection, outcome)
	}
	// Alerts look at a rise, and a series that begins with 1 does not.
	for _, reason := range []access.Reason{access.ReasonUnavailable, access.ReasonCredential, access.ReasonNotAllowed, access.ReasonDenied, access.ReasonHandshake} {
		r.refusedLogins.WithLabelValues(connection, string(reason))
	}
	for _, reason := range []access.Reason{access.ReasonUnavailable, access.ReasonNotAllowed, access.ReasonDenied, access.ReasonProtocol, access.ReasonMasked} {
		r.refusedOperations.WithLabelValues(connection, string(reason))
	}
	return o
}

// The outcomes of a dial.
const (
	dialed    = "Succeeded"
	notDialed = "Failed"
)

// observer counts for one Connection. What every operation counts was looked
// up once.
type observer struct {
	*road
	connection                            string
	sessionDuration, dialDuration         prometheus.Observer
	rows, bytes, masked                   prometheus.Counter
	allowed, denied, approved             prometheus.Counter
	parse, decide, record, target, answer prometheus.Observer
	// results are by outcome, and do not change.
	results map[string]prometheus.Counter
	// audits are by what would have been, and do not change.
	audits map[policy.Effect]prometheus.Counter
	// transfers are by direction, and do not change.
	transfers map[record.Direction]prometheus.Counter
}

var (
	_ access.Observer = (*observer)(nil)
	_ access.Watcher  = (*observer)(nil)
)

// Refused implements access.Observer.
func (o *observer) Refused(_ *access.Login, reason access.Reason) {
	o.refusedLogins.WithLabelValues(o.connection, string(reason)).Inc()
}

// Opened implements access.Observer.
func (o *observer) Opened(*access.Login, string) access.Watcher { return o }

// Dialed implements access.Watcher.
func (o *observer) Dialed(_ snapshot.Target, _ time.Time, took time.Duration, err error) {
	outcome := dialed
	if err != nil {
		outcome = notDialed
	}
	o.dials.WithLabelValues(o.connection, outcome).Inc()
	o.dialDuration.Observe(took.Seconds())
}

// Closed implements access.Watcher.
func (o *observer) Closed(reason access.EndReason, took time.Duration) {
	o.endedSessions.WithLabelValues(o.connection, string(reason)).Inc()
	o.sessionDuration.Observe(took.Seconds())
}

// Operation implements access.Watcher.
func (o *observer) Operation(observed access.Observed) {
	took := &observed.Took
	if took.Parse > 0 {
		o.parse.Observe(took.Parse.Seconds())
	}
	o.decide.Observe(took.Decide.Seconds())
	o.record.Observe(took.Record.Seconds())
	if observed.Approval != nil {
		o.approval.WithLabelValues(o.connection, cmp.Or(observed.Approval.Outcome, "None")).Observe(took.Hold.Seconds())
	}
	if observed.Reason != "" {
		o.refusedOperations.WithLabelValues(o.connection, string(observed.Reason)).Inc()
	}
	if counter := o.audits[observed.Would]; counter != nil {
		counter.Inc()
	}
	switch observed.Effect {
	case policy.Allow:
		o.allowed.Inc()
	case policy.RequireApproval:
		o.approved.Inc()
	default:
		o.denied.Inc()
	}
	result := observed.Result
	if result == nil {
		return
	}
	o.target.Observe(took.Forward.Seconds())
	if took.Answer > 0 {
		o.answer.Observe(took.Answer.Seconds())
	}
	if counter := o.results[result.Outcome]; counter != nil {
		counter.Inc()
	}
	o.rows.Add(float64(result.Rows))
	o.bytes.Add(float64(result.Bytes))
	o.masked.Add(float64(result.MaskedValues))
	for i := range result.Transfers {
		if counter := o.transfers[result.Transfers[i].Direction]; counter != nil {
			counter.Add(float64(result.Transfers[i].Bytes))
		}
	}
}
