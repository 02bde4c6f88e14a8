// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// published is a Publisher at a counted API server.
type published struct {
	*testing.T
	*Publisher
	server     client.WithWatch
	connection *v1alpha1.Connection
	at         time.Time

	made          int // Secrets
	reads, writes int
	reservations  int
	before        func() // is called once, before the next write reaches the server
}

func newPublished(t *testing.T) *published {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &published{
		T: t, server: fake.NewClientBuilder().WithReturnManagedFields().Build(), at: time.Unix(1800000000, 0),
		connection: &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: "db", UID: "c"}},
	}
	counted := interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, name client.ObjectKey, into client.Object, options ...client.GetOption) error {
			w.reads++
			return c.Get(ctx, name, into, options...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			w.writes++
			if before := w.before; before != nil {
				w.before = nil
				before()
			}
			// The fake gives no UIDs.
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: SecretName("db")}, Type: v1alpha1.SecretTypeSnapshot}
			if err := c.Get(ctx, client.ObjectKeyFromObject(secret), &corev1.Secret{}); apierrors.IsNotFound(err) {
				w.made++
				secret.UID = types.UID(fmt.Sprint("s-", w.made))
				if err := c.Create(ctx, secret); err != nil {
					return err
				}
			}
			return c.Apply(ctx, object, options...)
		},
	})
	w.Publisher = New(counted, w.server, key) // the cache is always fresh
	w.now = func() time.Time { return w.at }
	return w
}

// publishes publishes a snapshot with one policy, and says what it took.
func (w *published) publishes(generation int64) (outcome Outcome, err error) {
	w.Helper()
	w.reads, w.writes = 0, 0
	return w.Publish(w.Context(), w.connection, w.content(generation), func(_ context.Context, o Outcome) error {
		w.reservations++
		w.connection.Status.Snapshot = &v1alpha1.SnapshotStatus{Revision: o.Revision, ReservedRevision: o.Reserved}
		return nil
	})
}

// content is a snapshot with one policy.
func (w *published) content(generation int64) snapshot.Snapshot {
	return snapshot.Snapshot{
		Schema: snapshot.Schema, Connection: snapshot.Connection{Namespace: "data", Name: "db", UID: "c", Generation: 1}, MaxStalenessSeconds: 300,
		Policies: policy.Set{Policies: []policy.Policy{{Name: "p", UID: "p", Generation: generation}}},
	}
}

func (w *published) expect(reason string, outcome Outcome, err error, revision int64, repaired string, reads, writes int) {
	w.Helper()
	if err != nil || outcome.Revision != revision || outcome.Repaired != repaired || w.reads != reads || w.writes != writes {
		w.Errorf("%s: revision %d, repaired %q, %d reads, %d writes, error %v; want revision %d, repaired %q, %d reads, %d writes",
			reason, outcome.Revision, outcome.Repaired, w.reads, w.writes, err, revision, repaired, reads, writes)
	}
}

// change changes the Secret behind the Publisher's back.
func (w *published) change(how func(*corev1.Secret)) {
	w.Helper()
	var secret corev1.Secret
	if err := w.server.Get(w.Context(), client.ObjectKey{Namespace: "data", Name: SecretName("db")}, &secret); err != nil {
		w.Fatal(err)
	}
	how(&secret)
	if err := w.server.Update(w.Context(), &secret); err != nil {
		w.Fatal(err)
	}
}

func (w *published) life() *life { return w.of(client.ObjectKeyFromObject(w.connection)) }

// TestReadsWhatChanged: a snapshot that nobody touched is not read again, neither to
// replace it nor to find that there is nothing to do; one that somebody touched is read
// and repaired, also where it was a heartbeat that came between.
func TestReadsWhatChanged(t *testing.T) {
	w := newPublished(t)
	o, err := w.publishes(1)
	w.expect("the first", o, err, 1, "", 1, 1)
	o, err = w.publishes(1)
	w.expect("nothing new", o, err, 1, "", 0, 0)
	o, err = w.publishes(2)
	w.expect("an edit", o, err, 2, "", 0, 1)

	w.at = w.at.Add(maxBeat)
	w.reads, w.writes = 0, 0
	w.beatAll(t.Context())
	if w.writes != 1 || w.reads != 0 {
		t.Errorf("a heartbeat is %d writes and %d reads", w.writes, w.reads)
	}
	o, err = w.publishes(2)
	w.expect("nothing new after a heartbeat", o, err, 2, "", 0, 0)

	var old map[string][]byte
	w.change(func(s *corev1.Secret) {
		old = map[string][]byte{snapshot.KeySnapshot: s.Data[snapshot.KeySnapshot], snapshot.KeySnapshotSignature: s.Data[snapshot.KeySnapshotSignature]}
		s.Data[snapshot.KeySnapshot] = []byte("forged")
	})
	o, err = w.publishes(2)
	w.expect("overwritten", o, err, 3, "overwritten", 1, 1)
	w.change(func(s *corev1.Secret) {
		s.Data[snapshot.KeySnapshot], s.Data[snapshot.KeySnapshotSignature] = old[snapshot.KeySnapshot], old[snapshot.KeySnapshotSignature]
	})
	o, err = w.publishes(2)
	w.expect("rolled back", o, err, 4, "rolled back to revision 2", 1, 1)
	w.change(func(s *corev1.Secret) { s.Labels["other"] = "x" })
	o, err = w.publishes(2)
	w.expect("touched, and as it was", o, err, 4, "", 1, 0)
	o, err = w.publishes(2)
	w.expect("known again", o, err, 4, "", 0, 0)
	frozen := true
	w.change(func(s *corev1.Secret) { s.Immutable = &frozen })
	o, err = w.publishes(2)
	w.expect("frozen as it was", o, err, 5, "frozen", 1, 1)
	if err := w.server.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: SecretName("db")}}); err != nil {
		t.Fatal(err)
	}
	o, err = w.publishes(2)
	w.expect("deleted", o, err, 6, "deleted", 1, 1)
}

// TestHeartbeatSeesWhatItVouchesFor: a heartbeat that falls on a Secret that somebody
// changed before it is the last one, and hides nothing.
func TestHeartbeatSeesWhatItVouchesFor(t *testing.T) {
	w := newPublished(t)
	o, err := w.publishes(1)
	w.expect("the first", o, err, 1, "", 1, 1)
	w.change(func(s *corev1.Secret) { s.Data[snapshot.KeySnapshot] = []byte("forged") })
	w.at = w.at.Add(maxBeat)
	w.beatAll(t.Context())
	if l := w.life(); l.beating || l.held != nil {
		t.Errorf("beating %t, held %+v: something is vouched for that was not published", l.beating, l.held)
	}
	w.writes = 0
	w.at = w.at.Add(maxBeat)
	w.beatAll(t.Context())
	if w.writes != 0 {
		t.Error("heartbeats go on")
	}
	o, err = w.publishes(1)
	w.expect("repaired", o, err, 2, "overwritten", 1, 1)
}

// TestWriteBetween: what somebody writes between look and write is not overwritten
// unseen: the write fails, and the next look reads.
func TestWriteBetween(t *testing.T) {
	w := newPublished(t)
	o, err := w.publishes(1)
	w.expect("the first", o, err, 1, "", 1, 1)
	w.before = func() { w.change(func(s *corev1.Secret) { s.Data[snapshot.KeySnapshot] = []byte("forged") }) }
	if _, err = w.publishes(2); err == nil {
		t.Fatal("it was overwritten unseen")
	}
	if l := w.life(); l.beating {
		t.Error("something is vouched for that was not published")
	}
	o, err = w.publishes(2)
	w.expect("the next look", o, err, 3, "overwritten", 1, 1)
}

// lagging is a cache that shows what there was.
type lagging struct {
	client.Reader
	shows metav1.PartialObjectMetadata
}

func (l *lagging) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	l.shows.DeepCopyInto(into.(*metav1.PartialObjectMetadata))
	return nil
}

// TestCacheLags: a cache that shows what was before the manager's own last write is behind,
// for a moment; after that, and where it shows anything else, the Secret is read.
func TestCacheLags(t *testing.T) {
	w := newPublished(t)
	if _, err := w.publishes(1); err != nil {
		t.Fatal(err)
	}
	cache := &lagging{}
	show := func() {
		var secret corev1.Secret
		if err := w.server.Get(t.Context(), client.ObjectKey{Namespace: "data", Name: SecretName("db")}, &secret); err != nil {
			t.Fatal(err)
		}
		cache.shows.ObjectMeta = secret.ObjectMeta
	}
	show()
	w.metadata = cache
	o, err := w.publishes(2)
	w.expect("an edit", o, err, 2, "", 0, 1)
	o, err = w.publishes(2)
	w.expect("the cache is behind", o, err, 2, "", 0, 0)
	o, err = w.publishes(3)
	w.expect("another edit", o, err, 3, "", 0, 1)
	o, err = w.publishes(3)
	w.expect("the cache is two writes behind", o, err, 3, "", 1, 0)
	show()
	o, err = w.publishes(4)
	w.expect("it is there", o, err, 4, "", 0, 1)
	w.change(func(s *corev1.Secret) { s.Data[snapshot.KeySnapshot] = []byte("forged") })
	o, err = w.publishes(4)
	w.expect("overwritten, which the cache does not show yet", o, err, 4, "", 0, 0)
	if _, err := w.publishes(5); err == nil {
		t.Error("an edit overwrote unseen what somebody wrote")
	}
	o, err = w.publishes(5)
	w.expect("which is found at the next look", o, err, 6, "overwritten", 1, 1)
	show()
	w.at = w.at.Add(maxBeat)
	w.beatAll(t.Context())
	w.at = w.at.Add(maxLag)
	o, err = w.publishes(5)
	w.expect("what the cache shows for too long", o, err, 6, "", 1, 0)
}

// TestContent: what a snapshot holds is known to whoever published it, and read once by
// whoever follows.
func TestContent(t *testing.T) {
	w := newPublished(t)
	if c, err := w.Content(t.Context(), w.connection); err != nil || c.Revision != 0 {
		t.Errorf("nothing was published: %+v, %v", c, err)
	}
	if _, err := w.publishes(3); err != nil {
		t.Fatal(err)
	}
	look := func(reason string, p *Publisher, reads int) {
		t.Helper()
		w.reads = 0
		c, err := p.Content(t.Context(), w.connection)
		if err != nil || c.Revision != 1 || !c.Holds("p", 3) || c.Holds("p", 2) || c.Holds("q", 3) || w.reads != reads {
			t.Errorf("%s: %+v, %v, %d reads, want %d", reason, c, err, w.reads, reads)
		}
	}
	look("it published", w.Publisher, 0)
	next := New(w.client, w.server, w.key)
	look("a new manager", next, 1)
	look("it has read", next, 0)
	w.change(func(s *corev1.Secret) { s.Data[snapshot.KeySnapshot] = []byte("forged") })
	third := New(w.client, w.server, w.key)
	if c, err := third.Content(t.Context(), w.connection); err != nil || c.Revision != 0 {
		t.Errorf("overwritten: %+v, %v", c, err)
	}
	away := interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("away")
		},
	})
	if _, err := New(away, w.server, w.key).Content(t.Context(), w.connection); err == nil {
		t.Error("what cannot be read is not known")
	}
}

// TestWrote: the manager's own writes are told from those of others.
func TestWrote(t *testing.T) {
	w := newPublished(t)
	if _, err := w.publishes(1); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{}
	see := func(reason string, want bool) {
		t.Helper()
		if err := w.server.Get(t.Context(), client.ObjectKey{Namespace: "data", Name: SecretName("db")}, secret); err != nil {
			t.Fatal(err)
		}
		if got := w.Wrote(secret); got != want {
			t.Errorf("%s: %t", reason, got)
		}
	}
	see("it was published", true)
	w.change(func(s *corev1.Secret) { s.Data[snapshot.KeySnapshot] = []byte("forged") })
	see("it was overwritten", false)
	if w.Wrote(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: "other"}}) {
		t.Error("another Secret")
	}
}
