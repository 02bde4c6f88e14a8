// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
)

// ledgerOf opens a real log with a follower's feed.
func openSpool(t *testing.T, dir string) (*spool.Log, *spool.Feed) {
	t.Helper()
	log, err := spool.Open(context.Background(), spool.Options{Dir: dir, Sinks: []string{"kubernetes"}})
	must(t, err)
	feed, err := log.NewFeed("kubernetes")
	must(t, err)
	return log, feed
}

// event makes a record of a session.
func (s *site) event(kind record.Type, session string, change ...func(*record.Event)) record.Event {
	e := record.Event{
		Type: kind, Session: session, Revision: 4, ClientAddress: "192.0.2.7:40000",
		Connection: record.Connection{Namespace: s.namespace, Name: connectionName, UID: string(s.connection.UID)},
		Actor: &identity.Principal{
			Provider: "corp", Issuer: "https://issuer.example", Subject: "1", UserName: "alice", KubernetesUser: "oidc:alice",
			Groups: []string{"analysts"}, Kind: identity.Human, Method: "oidc",
		},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func (s *site) append(log record.Log, events ...record.Event) {
	s.t.Helper()
	for _, e := range events {
		_, err := log.Append(context.Background(), e)
		must(s.t, err)
	}
}

func (s *site) session(name string) *v1alpha1.AuditSession {
	s.t.Helper()
	got, err := s.admin.auditSessions(s.namespace).Get(s.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	must(s.t, err)
	return got
}

func decided(effect policy.Effect) func(*record.Event) {
	return func(e *record.Event) {
		e.Decision = &record.Decision{Effect: effect, Message: "because"}
		e.Operation = &record.Operation{Protocol: "postgres", Accesses: []policy.Access{{Action: "drop", Resource: "public.orders"}}}
	}
}

func result(outcome string, masked ...string) func(*record.Event) {
	return func(e *record.Event) { e.Result = &record.Result{Outcome: outcome, MaskedFields: masked} }
}

func approved(e *record.Event) {
	decided(policy.RequireApproval)(e)
	e.Approval = &record.Approval{Request: "shop-x", Outcome: "Approved", Approvers: []string{"oidc:bob"}}
}

// work is what a session does in the tests.
func (s *site) work(session string) []record.Event {
	return []record.Event{
		s.event(record.OperationDecided, session, decided(policy.Allow)),
		s.event(record.OperationResult, session, result("Succeeded", "card")),
		s.event(record.OperationDecided, session, decided(policy.Deny)),
		s.event(record.OperationHeld, session, approved),
		s.event(record.OperationDecided, session, approved),
		s.event(record.OperationResult, session, result("Failed")),
	}
}

var worked = &v1alpha1.OperationCounts{Total: 3, Allowed: 2, Denied: 1, Held: 1, Masked: 1, Failed: 1}

func TestSessionsAreShown(t *testing.T) {
	s := newSite(t)
	log, feed := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	events := NewEvents(s.proxy, "proxy-0", s.log)
	sessions := NewSessions(s.proxy, "proxy-0", feed, events, s.log)
	stop := run(t, sessions.Run)
	run(t, events.Run)
	s.append(log, s.event(record.SessionStart, "shop-a"))
	took := eventually(t, "the object", func() bool { return s.session("shop-a") != nil })
	t.Logf("the object took %s", took)
	s.append(log, s.work("shop-a")...)
	eventually(t, "the counts", func() bool {
		return cmp.Equal(s.session("shop-a").Status.Operations, worked)
	})
	got := s.session("shop-a")
	want := v1alpha1.AuditSessionSpec{
		ConnectionRef: v1alpha1.ConnectionReference{Name: connectionName}, ClientAddress: "192.0.2.7:40000", ProxyInstance: "proxy-0",
		Actor: v1alpha1.Actor{
			Issuer: "https://issuer.example", Subject: "1", Username: "alice", KubernetesUsername: "oidc:alice", Groups: []string{"analysts"},
			Kind: v1alpha1.ActorHuman, IdentityProvider: "corp", AuthenticationMethod: "oidc",
		},
		StartedAt: got.Spec.StartedAt,
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("spec: -want +got:\n%s", diff)
	}
	if got.Status.Phase != v1alpha1.SessionActive || got.Status.SnapshotRevision != 4 || got.Status.Log.ID != log.ID() ||
		got.Status.Log.LastRecord-got.Status.Log.FirstRecord < 6 { // a checkpoint may stand among them
		t.Errorf("status: %+v, log %+v", got.Status, got.Status.Log)
	}
	s.append(log, s.event(record.SessionEnd, "shop-a", func(e *record.Event) { e.Reason = "the client left" }))
	eventually(t, "the end", func() bool {
		status := s.session("shop-a").Status
		return status.Phase == v1alpha1.SessionEnded && status.EndReason == "the client left" && status.EndedAt != nil
	})
	eventually(t, "all is acknowledged", func() bool { return feed.Acknowledged() == log.Durable() })
	eventually(t, "Events on the Connection", func() bool {
		list, err := s.core.CoreV1().Events(s.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + connectionName})
		must(t, err)
		var reasons []string
		for _, e := range list.Items {
			reasons = append(reasons, e.Reason)
		}
		slices.Sort(reasons)
		return slices.Equal(reasons, []string{"ApprovalRequested", "OperationApproved", "OperationDenied"})
	})
	must(t, log.Close())
	stop() // who reads the feed must have ended
	must(t, feed.Close())
}

// The API server is away while sessions come and go: they are shown afterwards.
func TestSessionsAreShownAfterwards(t *testing.T) {
	s := newSite(t)
	log, feed := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	sessions := NewSessions(s.proxy, "proxy-0", feed, nil, s.log)
	stop := run(t, sessions.Run)
	must(t, env.CloseAPI())
	s.append(log, s.event(record.SessionStart, "shop-a"))
	s.append(log, s.work("shop-a")...)
	s.append(log, s.event(record.SessionEnd, "shop-a"), s.event(record.SessionStart, "shop-b"))
	s.append(log, s.work("shop-b")...)
	eventually(t, "the log is read", func() bool {
		sessions.mu.Lock()
		defer sessions.mu.Unlock()
		return sessions.read == log.Durable()
	})
	if got := feed.Acknowledged(); got != 0 {
		t.Errorf("%d records acknowledged while nothing could be shown", got)
	}
	must(t, env.Resume())
	eventually(t, "both sessions with their counts", func() bool {
		a, b := s.session("shop-a"), s.session("shop-b")
		return a != nil && b != nil && a.Status.Phase == v1alpha1.SessionEnded && b.Status.Phase == v1alpha1.SessionActive &&
			cmp.Equal(a.Status.Operations, worked) && cmp.Equal(b.Status.Operations, worked)
	})
	eventually(t, "all is acknowledged", func() bool { return feed.Acknowledged() == log.Durable() })
	must(t, log.Close())
	stop() // who reads the feed must have ended
	must(t, feed.Close())
}

// A proxy is killed: its successor goes on where the objects stand, and ends
// what has no end.
func TestSessionsOfAFormerProcess(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "spool")
	log, feed := openSpool(t, dir)
	sessions := NewSessions(s.proxy, "proxy-0", feed, nil, s.log)
	stop := run(t, sessions.Run)
	s.append(log, s.event(record.SessionStart, "shop-a"))
	s.append(log, s.work("shop-a")...)
	eventually(t, "what came first is shown and acknowledged", func() bool { return feed.Acknowledged() == log.Durable() })
	stop()
	// The rest of the process's life is not shown any more; the log has no end of it.
	s.append(log, s.work("shop-a")...)
	s.append(log, s.event(record.SessionStart, "shop-b"))
	must(t, feed.Close())
	must(t, log.Close())

	log, feed = openSpool(t, dir)
	sessions = NewSessions(s.proxy, "proxy-0", feed, nil, s.log)
	stop = run(t, sessions.Run)
	twice := &v1alpha1.OperationCounts{Total: 6, Allowed: 4, Denied: 2, Held: 2, Masked: 2, Failed: 2}
	eventually(t, "both have ended, and nothing is counted twice", func() bool {
		a, b := s.session("shop-a"), s.session("shop-b")
		return a != nil && b != nil && a.Status.Phase == v1alpha1.SessionEnded && b.Status.Phase == v1alpha1.SessionEnded &&
			cmp.Equal(a.Status.Operations, twice) && strings.Contains(b.Status.EndReason, "the proxy ended before")
	})
	must(t, log.Close())
	stop() // who reads the feed must have ended
	must(t, feed.Close())
}

// A session whose object somebody deletes is shown again.
func TestDeletedSessionIsShownAgain(t *testing.T) {
	s := newSite(t)
	log, feed := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	sessions := NewSessions(s.proxy, "proxy-0", feed, nil, s.log)
	stop := run(t, sessions.Run)
	s.append(log, s.event(record.SessionStart, "shop-a"))
	eventually(t, "the object", func() bool { return s.session("shop-a") != nil })
	eventually(t, "its status", func() bool { return s.session("shop-a").Status.Phase != "" })
	must(t, s.admin.auditSessions(s.namespace).Delete(t.Context(), "shop-a", metav1.DeleteOptions{}))
	s.append(log, s.work("shop-a")...)
	eventually(t, "the object again", func() bool {
		got := s.session("shop-a")
		return got != nil && cmp.Equal(got.Status.Operations, worked)
	})
	must(t, log.Close())
	stop() // who reads the feed must have ended
	must(t, feed.Close())
}

// terminations notes what is to end.
type terminations struct {
	mu   sync.Mutex
	done map[string]string
}

func (g *terminations) Terminate(session, reason string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done[session] = reason
	return true
}

func (g *terminations) of(session string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done[session]
}

func (s *site) terminate(session string) {
	s.t.Helper()
	_, err := s.admin.auditSessions(s.namespace).Patch(s.t.Context(), session, types.MergePatchType,
		[]byte(`{"spec":{"terminate":{"reason":"suspicious"}}}`), metav1.PatchOptions{})
	must(s.t, err)
}

// spec.terminate is watched by the proxy itself and felt within a second.
func TestTerminations(t *testing.T) {
	s := newSite(t)
	log, feed := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	sessions := NewSessions(s.proxy, "proxy-0", feed, nil, s.log)
	ended := &terminations{done: map[string]string{}}
	stop := run(t, sessions.Run)
	s.append(log, s.event(record.SessionStart, "shop-a"), s.event(record.SessionStart, "shop-b"))
	eventually(t, "the objects", func() bool { return s.session("shop-a") != nil && s.session("shop-b") != nil })
	// One is set before the watch begins, one while it runs.
	s.terminate("shop-a")
	run(t, func(ctx context.Context) { sessions.Terminations(ctx, s.namespace, connectionName, ended) })
	eventually(t, "what was set before", func() bool { return ended.of("shop-a") == "suspicious" })
	s.terminate("shop-b")
	if took := eventually(t, "what is set now", func() bool { return ended.of("shop-b") == "suspicious" }); took > busy {
		t.Errorf("termination took %s, want less than a second", took)
	}
	must(t, log.Close())
	stop() // who reads the feed must have ended
	must(t, feed.Close())
}
