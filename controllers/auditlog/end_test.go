// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/witness"
)

// TestEnd follows a log whose proxy goes away, on a clock of the test's: it ends
// with a warning, its submission is pruned, the AuditLog stays, also without its
// Connection, and a proxy that comes back opens it again.
func TestEnd(t *testing.T) {
	const namespace, name = "shop", "orders"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	connection := &v1alpha1.Connection{ObjectMeta: meta(name)}
	submitted := &corev1.ConfigMap{ObjectMeta: meta(witness.ConfigMapName(name)), Data: map[string]string{}}
	reports := &corev1.ConfigMap{ObjectMeta: meta(report.ConfigMapName(name)), Data: map[string]string{"orders-0": "{}"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(connection, submitted, reports).WithStatusSubresource(&v1alpha1.AuditLog{}).
		WithIndex(&v1alpha1.AuditLog{}, byConnection, func(object client.Object) []string {
			return []string{object.(*v1alpha1.AuditLog).Spec.ConnectionRef.Name}
		}).Build()
	now := time.Unix(1800000000, 0)
	recorder := events.NewFakeRecorder(16)
	keys := NewKeys(c, "doorward-system")
	r := New(Options{Client: c, Keys: keys, Events: recorder, Now: func() time.Time { return now }})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reconcile := func(after time.Duration) {
		t.Helper()
		now = now.Add(after)
		_, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
		must(err)
	}
	f := NewFake(t, "orders-0").Grow(10, "record")
	submit := func(s witness.Submission) {
		t.Helper()
		data, err := s.Encode()
		must(err)
		must(c.Get(ctx, client.ObjectKeyFromObject(submitted), submitted))
		if submitted.Data == nil {
			submitted.Data = map[string]string{}
		}
		submitted.Data["orders-0"] = string(data)
		must(c.Update(ctx, submitted))
	}
	is := func(state v1alpha1.AuditLogState, size int64) {
		t.Helper()
		log := &v1alpha1.AuditLog{}
		must(c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: f.ID()}, log))
		if log.Status.State != state || log.Status.Size != size {
			t.Errorf("the log is %s with %d records, want %s with %d", log.Status.State, log.Status.Size, state, size)
		}
	}
	submit(f.Show(0))
	reconcile(0)
	is(v1alpha1.AuditLogOpen, 10)

	// One status write a second.
	submit(f.Grow(1, "record").Show(10))
	reconcile(writeEvery / 2)
	is(v1alpha1.AuditLogOpen, 10)
	reconcile(writeEvery / 2)
	is(v1alpha1.AuditLogOpen, 11)

	// Idle, and still there.
	reconcile(24 * time.Hour)
	is(v1alpha1.AuditLogOpen, 11)

	reports.Data = nil
	must(c.Update(ctx, reports))
	reconcile(time.Second)
	reconcile(goneAfter - time.Second)
	is(v1alpha1.AuditLogOpen, 11)
	reconcile(time.Second)
	is(v1alpha1.AuditLogEnded, 11)
	var told []string
	for len(recorder.Events) > 0 {
		told = append(told, <-recorder.Events)
	}
	if len(told) != 2 || slices.ContainsFunc(told, func(s string) bool { return !strings.Contains(s, "LogEnded") || !strings.Contains(s, "may be missing") }) {
		t.Errorf("told %q, want LogEnded of the log and of the Connection", told)
	}
	must(c.Get(ctx, client.ObjectKeyFromObject(submitted), submitted))
	if len(submitted.Data) != 0 {
		t.Errorf("the submission of a log that ended, a day old, is still there: %v", submitted.Data)
	}

	submit(f.Grow(4, "record").Show(11))
	reconcile(time.Second)
	is(v1alpha1.AuditLogOpen, 15)
	submit(f.Grow(1, "stop").Close(15))
	reconcile(time.Second)
	is(v1alpha1.AuditLogClosed, 16)
	for _, object := range []client.Object{connection, submitted, reports} {
		must(c.Delete(ctx, object))
	}
	reconcile(time.Second)
	reconcile(2 * goneAfter)
	is(v1alpha1.AuditLogClosed, 16)
}
