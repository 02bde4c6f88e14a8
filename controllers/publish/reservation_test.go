// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// succeeded is the next manager, which knows what the API server holds.
func (w *published) succeeded() *published {
	next := *w
	next.Publisher = New(w.client, w.server, w.key)
	next.now = w.now
	return &next
}

// TestReservation: revisions are reserved some at a time, by each process for itself, so
// that none is used twice, whatever becomes of the Secret and of whoever published it.
func TestReservation(t *testing.T) {
	w := newPublished(t)
	generation := int64(0)
	publish := func(by *published, reason string, revision int64, repaired string, reservations int) {
		t.Helper()
		generation++
		by.connection, by.reservations = w.connection, 0
		o, err := by.publishes(generation)
		if err != nil || o.Revision != revision || o.Repaired != repaired || by.reservations != reservations {
			t.Errorf("%s: revision %d, repaired %q, %d reservations, error %v; want revision %d, repaired %q, %d reservations",
				reason, o.Revision, o.Repaired, by.reservations, err, revision, repaired, reservations)
		}
	}
	publish(w, "the first", 1, "", 1)
	for revision := int64(2); revision <= reservation; revision++ {
		publish(w, "one that is reserved", revision, "", 0)
	}
	publish(w, "the next", reservation+1, "", 1)
	publish(w, "one that is reserved", reservation+2, "", 0)
	if s := w.connection.Status.Snapshot; s.Revision != reservation+1 || s.ReservedRevision != 2*reservation {
		t.Fatalf("reserved: %+v", s)
	}

	next := w.succeeded()
	next.connection, next.reservations = w.connection, 0
	if o, err := next.publishes(generation); err != nil || o.Revision != reservation+2 || next.reservations != 0 {
		t.Errorf("a manager that finds nothing new: %+v, %v, %d reservations", o, err, next.reservations)
	}
	publish(next, "its first edit is above all that the former one reserved", 2*reservation+1, "", 1)
	publish(w, "the former one, which still runs, is above its successor", 3*reservation+1, "", 1)
	publish(next, "and the other way round", 4*reservation+1, "", 1)
	publish(next, "one that is reserved", 4*reservation+2, "", 0)

	if err := w.server.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: SecretName("db")}}); err != nil {
		t.Fatal(err)
	}
	third := next.succeeded()
	publish(third, "a new manager, and the Secret is gone", 5*reservation+1, "deleted", 1)
}

// TestReservationBehind: a cache that does not show the own reservation yet has it made
// again, and that is refused, as the API server does; nothing is published meanwhile.
func TestReservationBehind(t *testing.T) {
	w := newPublished(t)
	if _, err := w.publishes(1); err != nil {
		t.Fatal(err)
	}
	behind := w.connection.DeepCopy()
	behind.Status.Snapshot = &v1alpha1.SnapshotStatus{}
	conflict := errors.New("the object has been modified")
	content := w.content(2)
	w.writes = 0
	o, err := w.Publish(t.Context(), behind, content, func(context.Context, Outcome) error { return conflict })
	if !errors.Is(err, conflict) || w.writes != 0 {
		t.Errorf("published %+v, %v with %d writes", o, err, w.writes)
	}
	o, err = w.publishes(2)
	w.expect("the cache is there", o, err, 2, "", 0, 1)
}
