// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logsink

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

// store is an API server with one sink and its Connections.
type store struct {
	client.Client
	sink        *v1alpha1.LogSink
	connections []v1alpha1.Connection
	writes      int
}

func (s *store) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if sink, ok := into.(*v1alpha1.LogSink); ok && s.sink != nil && s.sink.Name == key.Name {
		s.sink.DeepCopyInto(sink)
		return nil
	}
	return apierrors.NewNotFound(v1alpha1.Resource("any"), key.Name)
}

func (s *store) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	if list, ok := into.(*v1alpha1.ConnectionList); ok {
		list.Items = s.connections
	}
	return nil
}

func (s *store) Status() client.SubResourceWriter { return statusWriter{s: s} }

type statusWriter struct {
	client.SubResourceWriter
	s *store
}

func (w statusWriter) Patch(_ context.Context, object client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	w.s.writes++
	object.SetResourceVersion(object.GetResourceVersion() + "+")
	w.s.sink = object.(*v1alpha1.LogSink).DeepCopy()
	return nil
}

// TestWritesAreBounded: lags change with every record; the status follows every few seconds,
// and a condition at once.
func TestWritesAreBounded(t *testing.T) {
	key := types.NamespacedName{Namespace: "shop", Name: "db"}
	s := &store{
		sink:        &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: v1alpha1.LogSinkSpec{Type: v1alpha1.LogSinkStdout}},
		connections: []v1alpha1.Connection{{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}},
	}
	at := now
	deliveries := NewDeliveries()
	r := New(Options{Client: s, Namespace: "doorward-system", Deliveries: deliveries, Now: func() time.Time { return at }})
	steps := []struct {
		reason string
		after  time.Duration
		sink   report.Sink
		writes int
		again  time.Duration
	}{
		{"The first.", 0, report.Sink{Name: "s", Reachable: true, Lag: 1}, 1, 0},
		{"A lag waits.", time.Second, report.Sink{Name: "s", Reachable: true, Lag: 2}, 1, writeEvery - time.Second},
		{"It waits once.", 2 * time.Second, report.Sink{Name: "s", Reachable: true, Lag: 3}, 1, writeEvery - 2*time.Second},
		{"Then it is written.", writeEvery, report.Sink{Name: "s", Reachable: true, Lag: 4}, 2, 0},
		{"A condition does not wait.", writeEvery + time.Second, report.Sink{Name: "s", Lag: 5, Error: "refused"}, 3, 0},
		{"Nothing new is not written.", time.Minute, report.Sink{Name: "s", Lag: 5, Error: "refused"}, 3, 0},
	}
	for _, step := range steps {
		at = now.Add(step.after)
		deliveries.Observe(key, []report.Report{{Instance: "db-1", Sinks: []report.Sink{step.sink}}})
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "s"}})
		if err != nil || s.writes != step.writes || result.RequeueAfter != step.again {
			t.Errorf("%s: %d writes, again after %s: %v; want %d, %s", step.reason, s.writes, result.RequeueAfter, err, step.writes, step.again)
		}
	}
	if *s.sink.Status.Lag != 5 {
		t.Errorf("lag %d", *s.sink.Status.Lag)
	}
}

// TestRestart: a manager that has just started does not say that nobody reports, before it
// has looked.
func TestRestart(t *testing.T) {
	key := types.NamespacedName{Namespace: "shop", Name: "db"}
	s := &store{sink: &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: v1alpha1.LogSinkSpec{Type: v1alpha1.LogSinkStdout}}}
	s.connections = []v1alpha1.Connection{{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}}
	reachable := func() string {
		for _, c := range s.sink.Status.Conditions {
			if c.Type == v1alpha1.ConditionReachable {
				return string(c.Status)
			}
		}
		return ""
	}
	at := now
	run := func(d *Deliveries) *Reconciler {
		r := New(Options{Client: s, Deliveries: d, Now: func() time.Time { return at }})
		if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "s"}}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := NewDeliveries()
	before.Observe(key, []report.Report{{Instance: "db-1", Sinks: []report.Sink{{Name: "s", Reachable: true}}}})
	run(before)
	if got := reachable(); got != "True" {
		t.Fatalf("Reachable is %q", got)
	}
	r := run(NewDeliveries()) // the next process
	if got := reachable(); got != "True" || len(s.sink.Status.Proxies) != 1 {
		t.Errorf("after a restart, Reachable is %q with %d proxies", got, len(s.sink.Status.Proxies))
	}
	at = now.Add(settle)
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "s"}}); err != nil {
		t.Fatal(err)
	}
	if got := reachable(); got != "Unknown" || len(s.sink.Status.Proxies) != 0 {
		t.Errorf("where nobody reports, Reachable is %q with %d proxies", got, len(s.sink.Status.Proxies))
	}
}

// TestDeliveries: the last reports count, one entry a sink, and none of a Connection that is
// gone.
func TestDeliveries(t *testing.T) {
	d := NewDeliveries()
	key := types.NamespacedName{Namespace: "shop", Name: "db"}
	woken := func() bool {
		select {
		case <-d.changed:
			return true
		default:
			return false
		}
	}
	twice := []report.Report{{Instance: "a", Sinks: []report.Sink{{Name: "s", Lag: 1}, {Name: "s", Lag: 2}, {Name: "other"}}}, {Instance: "b"}}
	d.Observe(key, twice)
	if got := d.of("s"); len(got) != 1 || got[0].Lag != 1 || !woken() {
		t.Errorf("deliveries %+v", got)
	}
	d.Observe(key, twice)
	if woken() {
		t.Error("nothing changed, and somebody was woken")
	}
	d.Observe(key, nil)
	if len(d.of("s")) != 0 || !woken() {
		t.Error("an instance that is gone is still there")
	}
	if !d.heardOf([]types.NamespacedName{key}) {
		t.Error("a Connection without proxies was observed too")
	}
	d.Forget(key)
	if d.heardOf([]types.NamespacedName{key}) || !woken() {
		t.Error("a Connection that is gone is still there")
	}
	long := report.Report{Instance: "a"}
	for range report.MaxSinks + 1 {
		long.Sinks = append(long.Sinks, report.Sink{Name: string(rune('A' + len(long.Sinks)))})
	}
	d.Observe(key, []report.Report{long})
	if got := len(d.seen[key]); got != report.MaxSinks {
		t.Errorf("%d sinks of one instance", got)
	}
}
