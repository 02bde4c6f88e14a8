// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish signs snapshots and writes them, one Secret per Connection,
// with a heartbeat that proves the manager alive.
//
// Revisions of a Connection only rise, also over restarts of the manager and
// whatever happens to the Secret: the next one is above the highest of what the
// Connection's status says, what the live Secret holds under our own signature,
// and what this process published. A process reserves some revisions at a time in
// the status, before it writes the first of them into the Secret, and begins above
// what another one reserved: a crash leaves a gap and never a repetition, and most
// edits cost one write until proxies have them.
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
	"strings"
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
	// Reserved is the highest revision that this process may publish without
	// reserving more.
	Reserved int64
	// Repaired says what had been done to the Secret, where it was not as this
	// manager left it. Empty otherwise.
	Repaired string
}

// Publisher writes the snapshots of all Connections. The client must read
// Secrets from the API server, not from a cache; of metadata it is the other way.
type Publisher struct {
	client   client.Client
	metadata client.Reader
	key      ed25519.PrivateKey
	now      func() time.Time
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
	mu       sync.Mutex
	uid      types.UID // of the Connection
	held     *held     // what the Secret holds; nil where that is to be read
	revision int64     // the highest this process published, or tried to
	reserved int64     // the highest it may publish; 0 before it reserved any
	beating  bool      // whether the Secret holds the present revision
	outrun   bool      // whether revision is what a proxy wants, and was never published
	outrunAt time.Time
	every    time.Duration
	next     time.Time
}

// reservation is how many revisions are reserved at a time.
const reservation = 64

// New makes a Publisher. metadata reads PartialObjectMetadata from a cache.
func New(c client.Client, metadata client.Reader, key ed25519.PrivateKey) *Publisher {
	return &Publisher{client: c, metadata: metadata, key: key, now: time.Now, observer: unobserved{}, lives: map[types.NamespacedName]*life{}}
}

// SecretName is the Secret of a Connection's snapshot.
func SecretName(connection string) string { return secretPrefix + connection + secretSuffix }

const (
	secretPrefix = "doorward-"
	secretSuffix = "-snapshot"
)

// connectionOf is the Connection that a Secret is called after; empty for none.
func connectionOf(secret string) string {
	name, prefixed := strings.CutPrefix(secret, secretPrefix)
	name, suffixed := strings.CutSuffix(name, secretSuffix)
	if !prefixed || !suffixed {
		return ""
	}
	return name
}

// publish is Publish.
func (p *Publisher) publish(ctx context.Context, connection *v1alpha1.Connection, content snapshot.Snapshot, reserve func(context.Context, Outcome) error) (Outcome, error) {
	l := p.life(connection)
	l.mu.Lock()
	defer l.mu.Unlock()
	before, err := p.look(ctx, connection, l)
	if err != nil {
		l.beating = false
		return Outcome{}, err
	}
	var status v1alpha1.SnapshotStatus
	if s := connection.Status.Snapshot; s != nil {
		status = *s
	}
	floor := max(l.revision, before.revision, status.Revision)
	digest, err := compile.Digest(content)
	if err != nil {
		l.beating = false
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	l.every = beatEvery(content.MaxStalenessSeconds)
	if before.opened == nil && !before.fixed && before.revision == floor && before.digest == digest {
		outcome := Outcome{Revision: floor, PublishedAt: before.publishedAt, Reserved: status.ReservedRevision}
		l.revision = floor
		if p.now().Sub(before.beatAt) >= l.every {
			err := p.beat(ctx, connection.Namespace, connection.Name, l)
			p.observer.Beat(err)
			return outcome, err
		}
		l.beating = true
		return outcome, nil
	}

	l.beating = false
	damage := floor > 0 && !l.outrun
	if status.ReservedRevision != l.reserved {
		// Another process may have published up to there, whatever the Secret holds now.
		floor = max(floor, status.ReservedRevision)
	}
	if floor > math.MaxInt64-reservation {
		return Outcome{}, &kit.Stalled{Reason: v1alpha1.ReasonPublishFailed, Err: errors.New(
			"the revision cannot rise any more: delete the Connection and create it again")}
	}
	outcome := Outcome{Revision: floor + 1, PublishedAt: p.now().UTC().Truncate(time.Second), Reserved: status.ReservedRevision}
	if damage {
		outcome.Repaired = before.damage(l.revision)
	}
	content.Revision, content.Time = outcome.Revision, outcome.PublishedAt
	data, err := snapshot.Seal(content, p.key)
	if err != nil {
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	if outcome.Revision > outcome.Reserved {
		outcome.Reserved = floor + reservation
		if err := reserve(ctx, outcome); err != nil {
			return Outcome{}, fmt.Errorf("cannot reserve revision %d: %w", outcome.Revision, err)
		}
		l.reserved = outcome.Reserved
	}
	l.revision, l.outrun = outcome.Revision, false
	now := p.now()
	beat, err := snapshot.SealHeartbeat(snapshot.Heartbeat{UID: string(connection.UID), Revision: outcome.Revision, Time: now.UTC()}, p.key)
	if err != nil {
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	maps.Copy(data, beat)
	l.held = nil // until the write is known to have been made
	written, err := p.write(ctx, connection, before, data)
	if err != nil {
		return Outcome{}, fmt.Errorf("cannot publish: %w", err)
	}
	l.held = holding(written, &content, digest, now)
	if before.uid == written.UID {
		l.held.before, l.held.writtenAt = before.version, now
	}
	l.beating, l.next = true, now.Add(l.every)
	return outcome, nil
}

// Suspend stops the heartbeat of a Connection until it is published again: the
// manager does not know any more that its snapshot is the present state.
func (p *Publisher) Suspend(key types.NamespacedName) {
	if l := p.of(key); l != nil {
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

// of returns what is known of a Connection's Secret; nil where nothing is.
func (p *Publisher) of(key types.NamespacedName) *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lives[key]
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

// write applies the Secret. One that cannot be changed into what is wanted, being
// immutable or of another type, is replaced.
func (p *Publisher) write(ctx context.Context, connection *v1alpha1.Connection, before held, data map[string][]byte) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: SecretName(connection.Name)},
		Type:       v1alpha1.SecretTypeSnapshot,
		Data:       data,
	}
	kit.Owned(secret, connection, "Connection", v1alpha1.GroupVersion.String())
	if before.fixed {
		old := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: connection.Namespace, Name: secret.Name}}
		precondition := client.Preconditions{UID: &before.uid, ResourceVersion: &before.version}
		if err := p.client.Delete(ctx, old, precondition); err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("cannot replace Secret %q: %w", secret.Name, err)
		}
	} else if before.uid != "" {
		// Somebody may write between our read and our write.
		secret.ResourceVersion = before.version
	}
	return secret, kit.Apply(ctx, p.client, secret)
}
