// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/auditlog"
	"github.com/doorward/doorward/proxy/witness"
)

// holds awaits that the witness holds a number of records in a state.
func holds(t *testing.T, f *auditlog.Fake, size int64, state v1alpha1.AuditLogState) *v1alpha1.AuditLog {
	t.Helper()
	var log *v1alpha1.AuditLog
	eventually(t, func(g gomega.Gomega) {
		log = auditLog(g, f.ID())
		g.Expect(log.Status.Size).To(gomega.Equal(size))
		g.Expect(log.Status.State).To(gomega.Equal(state))
	})
	return log
}

// published are the witness's keys as everybody finds them.
func published(t *testing.T) (witness.Chain, note.Verifiers) {
	t.Helper()
	object := &corev1.ConfigMap{}
	if err := admin.Get(t.Context(), types.NamespacedName{Namespace: operatorNamespace, Name: witness.KeysConfigMapName}, object); err != nil {
		t.Fatal(err)
	}
	chain, err := witness.DecodeChain([]byte(object.Data[witness.KeysChain]))
	if err != nil {
		t.Fatal(err)
	}
	verifiers, err := chain.Verifiers(object.Data[witness.KeysVerifier])
	if err != nil {
		t.Fatal(err)
	}
	return chain, verifiers
}

// countersigned checks what is held against the log's keys and the witness's.
func countersigned(t *testing.T, f *auditlog.Fake, log *v1alpha1.AuditLog) {
	t.Helper()
	_, verifiers := published(t)
	n, err := note.Open([]byte(log.Status.Checkpoint), verifiers)
	if err != nil {
		t.Fatalf("not signed by the witness: %v", err)
	}
	c, err := f.Keys.Open(log.Status.Checkpoint)
	if err != nil || c.Size != log.Status.Size || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 {
		t.Errorf("not a checkpoint of the log: %v, %+v, %d and %d signatures", err, c, len(n.Sigs), len(n.UnverifiedSigs))
	}
}

// conflicted awaits a conflict, and that the last good checkpoint is still held.
func conflicted(t *testing.T, f *auditlog.Fake, reason string, size int64) *v1alpha1.AuditLog {
	t.Helper()
	log := holds(t, f, size, v1alpha1.AuditLogConflict)
	condition := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ConditionConsistent)
	if condition == nil || condition.Status != metav1.ConditionFalse || condition.Reason != reason || condition.Message == "" {
		t.Errorf("condition Consistent is %+v, want reason %s", condition, reason)
	}
	countersigned(t, f, log)
	return log
}

// warned awaits Events about an object.
func warned(t *testing.T, kind, name, reason, text string) {
	t.Helper()
	eventually(t, func(g gomega.Gomega) {
		var all eventsv1.EventList
		g.Expect(admin.List(context.Background(), &all, client.InNamespace(namespace))).To(gomega.Succeed())
		var others []string
		for i := range all.Items {
			e := &all.Items[i]
			others = append(others, e.Regarding.Kind+" "+e.Regarding.Name+": "+e.Reason+": "+e.Note)
			if e.Regarding.Kind == kind && e.Regarding.Name == name && e.Reason == reason && strings.Contains(e.Note, text) {
				return
			}
		}
		g.Expect(others).To(gomega.ContainElement(kind + " " + name + ": " + reason + ": ..." + text))
	})
}

// TestGrowth: an honest log grows, rotates its key, is closed and opened again.
func TestGrowth(t *testing.T) {
	t.Parallel()
	f := auditlog.NewFake(t, "growth-0").Grow(10, "record")
	submit(t, proxy, connectionName, f.Show(0))
	log := holds(t, f, 10, v1alpha1.AuditLogOpen)
	countersigned(t, f, log)
	if log.Spec.ConnectionRef.Name != connectionName || log.Spec.Instance != f.Instance || log.Status.FirstSeen == nil {
		t.Errorf("AuditLog %+v", log)
	}
	_, verifiers := published(t)
	certificate, err := witness.OpenCertificate(log.Status.Certificate, verifiers)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Log != f.ID() || certificate.Key != f.Keys.First() || certificate.Namespace != namespace ||
		certificate.Connection != connectionName || certificate.Instance != f.Instance {
		t.Errorf("certificate %+v", certificate)
	}

	submit(t, proxy, connectionName, f.Grow(1, "record").Rotate().Grow(3, "record").Show(10))
	log = holds(t, f, 15, v1alpha1.AuditLogOpen)
	countersigned(t, f, log)
	if len(log.Status.Keys) != 2 || len(log.Status.Rotations) != 1 || log.Status.Certificate == "" {
		t.Errorf("status %+v", log.Status)
	}

	submit(t, proxy, connectionName, f.Grow(2, "stop").Close(15))
	log = holds(t, f, 17, v1alpha1.AuditLogClosed)
	if c := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ConditionComplete); c == nil || c.Reason != v1alpha1.ReasonLogClosed {
		t.Errorf("condition Complete is %+v", c)
	}
	submit(t, proxy, connectionName, f.Grow(3, "start").Show(17))
	holds(t, f, 20, v1alpha1.AuditLogOpen)
}

// TestConflicts: checklist 45: what is shown is held to what was shown before,
// off the proxy's box.
func TestConflicts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		then func(f, before *auditlog.Fake) witness.Submission
		want string
	}{
		"rolled-back": {
			want: v1alpha1.ReasonRolledBack,
			then: func(_, before *auditlog.Fake) witness.Submission {
				s := before.Grow(1, "recovery").Grow(1, "later").Show(0)
				s.From = 20
				return s
			},
		},
		"forked": {
			want: v1alpha1.ReasonForked,
			then: func(_, before *auditlog.Fake) witness.Submission {
				s := before.Grow(30, "recovery").Show(0)
				s.From = 20
				return s
			},
		},
		"forged": {
			want: v1alpha1.ReasonBadSignature,
			then: func(f, _ *auditlog.Fake) witness.Submission { return f.Grow(5, "record").Forge(20) },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := auditlog.NewFake(t, name+"-0").Grow(10, "record")
			submit(t, proxy, connectionName, f.Show(0))
			holds(t, f, 10, v1alpha1.AuditLogOpen)
			before := f.Copy()
			submit(t, proxy, connectionName, f.Grow(10, "record").Show(10))
			honest := holds(t, f, 20, v1alpha1.AuditLogOpen)

			submit(t, proxy, connectionName, tc.then(f.Copy(), before))
			log := conflicted(t, f, tc.want, 20)
			if log.Status.Checkpoint != honest.Status.Checkpoint {
				t.Error("the last good checkpoint was replaced")
			}
			warned(t, "AuditLog", f.ID(), "LogConflict", tc.want)
			warned(t, "Connection", connectionName, "LogConflict", f.ID())

			// The history that was seen is still followed, and the conflict stays.
			submit(t, proxy, connectionName, f.Grow(10, "record").Show(20))
			conflicted(t, f, tc.want, 30)
		})
	}
}

// TestStolenName: a log belongs to the instance that first showed it.
func TestStolenName(t *testing.T) {
	t.Parallel()
	for name, thief := range map[string]struct {
		client     client.Client
		connection string
		instance   string
	}{
		"instance":   {proxy, connectionName, "thief-0"},
		"connection": {stranger, otherConnection, "victim-connection-0"},
	} {
		f := auditlog.NewFake(t, "victim-"+name+"-0").Grow(10, "record")
		submit(t, proxy, connectionName, f.Show(0))
		holds(t, f, 10, v1alpha1.AuditLogOpen)
		s := f.Copy().Grow(5, "record").Show(10)
		s.Instance = thief.instance
		submit(t, thief.client, thief.connection, s)
		conflicted(t, f, v1alpha1.ReasonClaimed, 10)
	}
}

// TestNoLog: what no log's key signed begins none, and is told of.
func TestNoLog(t *testing.T) {
	t.Parallel()
	f := auditlog.NewFake(t, "nobody-0").Grow(10, "record")
	submit(t, proxy, connectionName, f.Forge(0))
	warned(t, "Connection", connectionName, "CheckpointRefused", f.Instance)
	put(t, stranger, otherConnection, "garbage-0", strings.Repeat("x", 100<<10))
	warned(t, "Connection", otherConnection, "CheckpointRefused", "garbage-0")
	// Nobody reports under this instance, so that it is cleared away.
	eventually(t, func(g gomega.Gomega) {
		object := &corev1.ConfigMap{}
		g.Expect(admin.Get(context.Background(), types.NamespacedName{Namespace: namespace, Name: witness.ConfigMapName(otherConnection)}, object)).To(gomega.Succeed())
		g.Expect(object.Data).NotTo(gomega.HaveKey("garbage-0"))
	})
	err := admin.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: f.ID()}, &v1alpha1.AuditLog{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("an AuditLog that nobody signed for: %v", err)
	}
}

// TestOnlyItsOwn: a proxy can show checkpoints for its own Connection only, and
// write no AuditLog.
func TestOnlyItsOwn(t *testing.T) {
	t.Parallel()
	f := auditlog.NewFake(t, "own-0").Grow(10, "record")
	submit(t, proxy, connectionName, f.Show(0))
	log := holds(t, f, 10, v1alpha1.AuditLogOpen)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: witness.ConfigMapName(connectionName)}}
	if err := stranger.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"data":{"own-0":"x"}}`))); !apierrors.IsForbidden(err) {
		t.Errorf("another Connection's proxy writes: %v", err)
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"size":5}}`))
	for who, c := range map[string]client.Client{"proxy": proxy, "admin": admin} {
		if err := c.Status().Patch(t.Context(), log.DeepCopy(), patch); !apierrors.IsForbidden(err) {
			t.Errorf("%s writes what the witness holds: %v", who, err)
		}
	}
}

// TestRestart: another manager goes on from what is held. It is not parallel,
// so that no other test is without a manager.
func TestRestart(t *testing.T) {
	f := auditlog.NewFake(t, "restart-0").Grow(10, "record")
	submit(t, proxy, connectionName, f.Show(0))
	holds(t, f, 10, v1alpha1.AuditLogOpen)
	before := f.Copy()
	submit(t, proxy, connectionName, f.Grow(10, "record").Show(10))
	holds(t, f, 20, v1alpha1.AuditLogOpen)
	chain, _ := published(t)

	manager.stop()
	submit(t, proxy, connectionName, f.Grow(10, "record").Show(20))
	var err error
	if manager, err = startManager(); err != nil {
		t.Fatal(err)
	}
	countersigned(t, f, holds(t, f, 30, v1alpha1.AuditLogOpen))
	if again, _ := published(t); !reflect.DeepEqual(again, chain) {
		t.Errorf("the witness's key changed: %+v, was %+v", again, chain)
	}
	for range 4 {
		before.Grow(1, "another") // each takes time, so it signs later than what is held
	}
	older := before.Show(0)
	older.From = 30
	submit(t, proxy, connectionName, older)
	conflicted(t, f, v1alpha1.ReasonRolledBack, 30)
}
