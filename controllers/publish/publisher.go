// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish signs snapshots and writes them, one Secret per Connection,
// with a heartbeat that proves the manager alive.
//
// Revisions of a Connection only rise, also over restarts of the manager and
// whatever happens to the Secret: the next one is above the highest of what the
// Connection's status says, what the live Secret holds under our own signature,
// and what this process published. It is written into the status before the
// Secret, so that a crash between the two leaves a gap and never a repetition.
//
// Whoever may write Secrets can destroy or roll back a snapshot, but not make
// one: proxies verify the signature and refuse a lower revision. [Publisher]
// finds such a Secret and writes it again, under a new revision.
package publish

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Outcome says what Publish found and did.
type Outcome struct {
	Revision    int64
	PublishedAt time.Time
	// Repaired says what had been done to the Secret, where it was not as this
	// manager left it. Empty otherwise.
	Repaired string
}

// Publisher writes the snapshots of all Connections. The client must read
// Secrets from the API server, not from a cache.
type Publisher struct {
	client client.Client
	key    ed25519.PrivateKey
	now    func() time.Time
	// observer is set before Start.
	observer Observer
	// pulsed is when the heartbeats last went on, in nanoseconds of Unix time; 0
	// while there are to be none.
	pulsed atomic.Int64

	mu    sync.Mutex // guards lives
	lives map[types.NamespacedName]*life
}

// life is what this process knows of one Connection's Secret. The mutex orders
// every write of the Secret.
type life struct {
	mu        sync.Mutex
	uid       types.UID // of the Connection
	secretUID types.UID
	revision  int64 // the highest this process reserved
	beating   bool  // whether the Secret holds the present revision
	outrun    bool  // whether revision is what a proxy wants, and was never reserved
	outrunAt  time.Time
	every     time.Duration
	next      time.Time
}

// New makes a Publisher.
func New(c client.Client, key ed25519.PrivateKey) *Publisher {
	return &Publisher{client: c, key: key, now: time.Now, observer: unobserved{}, lives: map[types.NamespacedName]*life{}}
}

// SecretName is the Secret of a Connection's snapshot.
func SecretName(connection string) string { return "doorward-" + connection + "-snapshot" }

// Live returns the snapshot that the Secret holds under our signature and for
// this very Connection, or nil.
func (p *Publisher) Live(ctx context.Context, connection *v1alpha1.Connection) (*snapshot.Snapshot, error) {
	secret, err := p.read(ctx, connection)
	if err != nil {
		return nil, err
	}
	live, _ := p.open(secret, connection)
	return live, nil
}

// publish is Publish.
func (p *Publisher) publish(ctx context.Context, connection *v1alpha1.Connection, content snapshot.Snapshot, reserve func(context.Context, Outcome) error) (Outcome, error) {
	l := p.life(connection)
	l.mu.Lock()
	defer l.mu.Unlock()
	secret, err := p.read(ctx, connection)
	if err != nil {
		l.beating = false
		return Outcome{}, err
	}
	floor := l.revision
	if s := connection.Status.Snapshot; s != nil {
		floor = max(floor, s.Revision)
	}
	live, opened := p.open(secret, connection)
	if live != nil {
		floor = max(floor, live.Revision)
	}
	l.every = beatEvery(content.MaxStalenessSeconds)
	if live != nil && live.Revision == floor && compile.Equal(*live, content) {
		outcome := Outcome{Revision: floor, PublishedAt: live.Time}
		l.revision, l.secretUID = floor, secret.UID
		if h, err := snapshot.OpenHeartbeat(secret.Data, p.public()); err != nil || h.UID != string(connection.UID) || h.Revision != floor || p.now().Sub(h.Time) >= l.every {
			return outcome, p.beat(ctx, connection.Namespace, connection.Name, l)
		}
		l.beating = true
		return outcome, nil
	}

	l.beating = false
	if floor == math.MaxInt64 {
		return Outcome{}, &kit.Stalled{Reason: v1alpha1.ReasonPublishFailed, Err: errors.New(
			"the revision cannot rise any more: delete the Connection and create it again")}
	}
	outcome := Outcome{Revision: floor + 1, PublishedAt: p.now().UTC().Truncate(time.Second)}
	if known := l.revision > 0; (known || floor > 0) && !l.outrun {
		outcome.Repaired = damage(secret, live, opened, l.revision)
	}
	content.Revision, content.Time = outcome.Revision, outcome.PublishedAt
	data, err := snapshot.Seal(content, p.key)
	if err != nil {
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	if err := reserve(ctx, outcome); err != nil {
		return Outcome{}, fmt.Errorf("cannot reserve revision %d: %w", outcome.Revision, err)
	}
	l.revision, l.outrun = outcome.Revision, false
	beat, err := snapshot.SealHeartbeat(snapshot.Heartbeat{UID: string(connection.UID), Revision: outcome.Revision, Time: p.now().UTC()}, p.key)
	if err != nil {
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	maps.Copy(data, beat)
	if err := p.write(ctx, connection, secret, data, l); err != nil {
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	l.beating, l.next = true, p.now().Add(l.every)
	return outcome, nil
}

// Suspend stops the heartbeat of a Connection until it is published again: the
// manager does not know any more that its snapshot is the present state.
func (p *Publisher) Suspend(key types.NamespacedName) {
	p.mu.Lock()
	l := p.lives[key]
	p.mu.Unlock()
	if l != nil {
		l.mu.Lock()
		l.beating = false
		l.mu.Unlock()
	}
}

// Forget drops what is known of a Connection that is gone.
func (p *Publisher) Forget(key types.NamespacedName) {
	p.Suspend(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lives, key)
}

func (p *Publisher) life(connection *v1alpha1.Connection) *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := client.ObjectKeyFromObject(connection)
	if l := p.lives[key]; l != nil && l.uid == connection.UID {
		return l
	}
	l := &life{uid: connection.UID}
	p.lives[key] = l
	return l
}

func (p *Publisher) public() ed25519.PublicKey { return public(p.key) }

// read returns the Secret; an empty one where there is none.
func (p *Publisher) read(ctx context.Context, connection *v1alpha1.Connection) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := p.client.Get(ctx, types.NamespacedName{Namespace: connection.Namespace, Name: SecretName(connection.Name)}, &secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("cannot read snapshot: %w", err)
	}
	return &secret, nil
}

// open returns the snapshot of the Secret if it is ours and this Connection's,
// else an error that says what is wrong.
func (p *Publisher) open(secret *corev1.Secret, connection *v1alpha1.Connection) (*snapshot.Snapshot, error) {
	live, err := snapshot.Open(secret.Data, p.public())
	if err != nil {
		return nil, err
	}
	if live.Connection.UID != string(connection.UID) {
		return nil, errors.New("snapshot of another Connection")
	}
	return live, nil
}

// damage says what was done to a Secret since it was published.
func damage(secret *corev1.Secret, live *snapshot.Snapshot, opened error, revision int64) string {
	switch {
	case secret.UID == "":
		return "deleted"
	case opened != nil:
		return "overwritten"
	case revision > 0 && live.Revision < revision:
		return fmt.Sprintf("rolled back to revision %d", live.Revision)
	default:
		return ""
	}
}

// write applies the Secret. One that cannot be changed into what is wanted, being
// immutable or of another type, is replaced.
func (p *Publisher) write(ctx context.Context, connection *v1alpha1.Connection, before *corev1.Secret, data map[string][]byte, l *life) error {
	replace := before.UID != "" && (before.Immutable != nil && *before.Immutable || before.Type != v1alpha1.SecretTypeSnapshot)
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: SecretName(connection.Name)},
		Type:       v1alpha1.SecretTypeSnapshot,
		Data:       data,
	}
	kit.Owned(secret, connection, "Connection", v1alpha1.GroupVersion.String())
	if replace {
		precondition := client.Preconditions{UID: &before.UID, ResourceVersion: &before.ResourceVersion}
		if err := p.client.Delete(ctx, before, precondition); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("cannot replace Secret %q: %w", secret.Name, err)
		}
	} else if before.UID != "" {
		// Somebody may write between our read and our write.
		secret.ResourceVersion = before.ResourceVersion
	}
	if err := kit.Apply(ctx, p.client, secret); err != nil {
		return err
	}
	l.secretUID = secret.UID
	return nil
}
