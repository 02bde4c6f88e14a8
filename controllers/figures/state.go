// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package figures

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Sources are what the state of a manager is read from when it is asked for.
type Sources struct {
	// Reader reads objects from caches.
	Reader client.Reader
	// Elected is closed when this manager leads. Before, there is no state to
	// tell: its caches may not hold the objects.
	Elected <-chan struct{}
	// Proven says whether enforcement is proven at present.
	Proven func() bool
	// AuthorityExpiry is when the current certificate of each certificate authority
	// ends, by the authority's name; zero where it is not known.
	AuthorityExpiry map[string]func() time.Time
}

// state collects what is read from Sources.
type state struct {
	Sources
	objects, conditions, sessions, requests, conflicts, proven, authority, unreviewed, longest, inForce *prometheus.Desc
}

// Watch registers the figures of a manager's state.
func Watch(registerer prometheus.Registerer, sources Sources) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil)
	}
	return registerer.Register(&state{
		Sources:    sources,
		objects:    desc("objects", "Objects by kind, as the leader sees them.", "kind"),
		conditions: desc("object_conditions", "Objects by kind, type of condition and its status.", "kind", "condition", "status"),
		sessions:   desc("live_sessions", "AuditSessions that have not ended."),
		requests:   desc("approval_requests", "ApprovalRequests by phase.", "phase"),
		inForce:    desc("break_glass_in_force", "ApprovalRequests that go ahead without approvals at present."),
		unreviewed: desc("break_glass_unreviewed", "ApprovalRequests that went ahead without approvals, are over and are not reviewed."),
		longest:    desc("break_glass_unreviewed_oldest_timestamp_seconds", "Since when the one that has waited longest for its review is over, in Unix time; absent where none waits."),
		conflicts:  desc("witness_conflicts", "AuditLogs that were shown to the witness in two forms that exclude each other."),
		proven:     desc("enforcement_proven", "1 where the admission policies are proven to be in force, else 0: then no approval counts."),
		authority:  desc("ca_expiry_timestamp_seconds", "When the current certificate of a certificate authority ends, in Unix time.", "authority"),
	})
}

// Describe implements prometheus.Collector.
func (s *state) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.objects, s.conditions, s.sessions, s.requests, s.conflicts, s.proven, s.authority, s.inForce, s.unreviewed, s.longest} {
		c <- d
	}
}

// readTimeout bounds what is read from caches for one scrape.
const readTimeout = 5 * time.Second

// Collect implements prometheus.Collector.
func (s *state) Collect(c chan<- prometheus.Metric) {
	select {
	case <-s.Elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	proven := 0.0
	if s.Proven() {
		proven = 1
	}
	gauge(s.proven, proven)
	for name, ends := range s.AuthorityExpiry {
		if expiry := ends(); !expiry.IsZero() {
			gauge(s.authority, float64(expiry.Unix()), name)
		}
	}
	n := newCounts()
	if !n.read(ctx, s.Reader) {
		// Part of the truth would look like a loss of objects.
		return
	}
	for kind, count := range n.objects {
		gauge(s.objects, float64(count), kind)
	}
	for key, count := range n.conditions {
		gauge(s.conditions, float64(count), key.kind, key.condition, string(key.status))
	}
	for phase, count := range n.requests {
		gauge(s.requests, float64(count), phase)
	}
	gauge(s.inForce, float64(n.inForce))
	gauge(s.unreviewed, float64(n.unreviewed))
	if !n.longest.IsZero() {
		gauge(s.longest, float64(n.longest.Unix()))
	}
	gauge(s.sessions, float64(n.sessions))
	gauge(s.conflicts, float64(n.conflicts))
}

// condition is what conditions are counted by.
type condition struct {
	kind, condition string
	status          metav1.ConditionStatus
}

type counts struct {
	objects             map[string]int
	conditions          map[condition]int
	requests            map[string]int
	sessions, conflicts int
	// unreviewed are requests that wait for a review, longest since when one has.
	unreviewed int
	// inForce are requests that go ahead without approvals.
	inForce int
	longest time.Time
}

func newCounts() *counts {
	n := &counts{objects: map[string]int{}, conditions: map[condition]int{}, requests: map[string]int{}}
	for _, phase := range []v1alpha1.ApprovalPhase{
		v1alpha1.ApprovalPending, v1alpha1.ApprovalApproved, v1alpha1.ApprovalDenied, v1alpha1.ApprovalUsed, v1alpha1.ApprovalExpired,
		v1alpha1.ApprovalStale, v1alpha1.ApprovalVoid, v1alpha1.ApprovalRevoked,
	} {
		n.requests[string(phase)] = 0
	}
	return n
}

func (n *counts) add(kind string, conditions []metav1.Condition) {
	n.objects[kind]++
	for i := range conditions {
		n.conditions[condition{kind, conditions[i].Type, conditions[i].Status}]++
	}
}

// review counts a request that goes ahead without approvals, or waits for a review.
func (n *counts) review(r *v1alpha1.ApprovalRequest) {
	if r.Status.BreakGlass != nil && r.Status.Phase == v1alpha1.ApprovalApproved {
		n.inForce++
	}
	complete := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionComplete)
	if !r.AwaitsReview() || complete == nil || complete.Status != metav1.ConditionTrue {
		return
	}
	n.unreviewed++
	if since := complete.LastTransitionTime.Time; n.longest.IsZero() || since.Before(n.longest) {
		n.longest = since
	}
}

// read counts what the caches hold; false where they could not be read.
func (n *counts) read(ctx context.Context, reader client.Reader) bool {
	var connections v1alpha1.ConnectionList
	var policies v1alpha1.AccessPolicyList
	var clusterPolicies v1alpha1.ClusterAccessPolicyList
	var providers v1alpha1.IdentityProviderList
	var sinks v1alpha1.LogSinkList
	var notifiers v1alpha1.NotifierList
	var requests v1alpha1.ApprovalRequestList
	var sessions v1alpha1.AuditSessionList
	var logs v1alpha1.AuditLogList
	for kind, list := range map[string]client.ObjectList{
		"Connection": &connections, "AccessPolicy": &policies, "ClusterAccessPolicy": &clusterPolicies, "IdentityProvider": &providers, "LogSink": &sinks,
		"Notifier": &notifiers, "ApprovalRequest": &requests, "AuditSession": &sessions, "AuditLog": &logs,
	} {
		// Nothing is changed, so the caches need not copy what they hold.
		if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return false
		}
		n.objects[kind] = 0
	}
	for i := range connections.Items {
		n.add("Connection", connections.Items[i].Status.Conditions)
	}
	for i := range policies.Items {
		n.add("AccessPolicy", policies.Items[i].Status.Conditions)
	}
	for i := range clusterPolicies.Items {
		n.add("ClusterAccessPolicy", clusterPolicies.Items[i].Status.Conditions)
	}
	for i := range providers.Items {
		n.add("IdentityProvider", providers.Items[i].Status.Conditions)
	}
	for i := range sinks.Items {
		n.add("LogSink", sinks.Items[i].Status.Conditions)
	}
	for i := range notifiers.Items {
		n.add("Notifier", notifiers.Items[i].Status.Conditions)
	}
	for i := range requests.Items {
		n.add("ApprovalRequest", nil)
		n.requests[string(requests.Items[i].Status.Phase)]++
		n.review(&requests.Items[i])
	}
	for i := range sessions.Items {
		n.add("AuditSession", nil)
		if sessions.Items[i].Status.EndedAt == nil {
			n.sessions++
		}
	}
	for i := range logs.Items {
		n.add("AuditLog", logs.Items[i].Status.Conditions)
		if logs.Items[i].Status.State == v1alpha1.AuditLogConflict {
			n.conflicts++
		}
	}
	return true
}
