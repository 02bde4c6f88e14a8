// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// held is what a Secret was found to hold, or was written with. Nothing of it is secret.
// It is believed for as long as the metadata in the cache shows the Secret at that very
// version: then there is nothing to read.
type held struct {
	uid     types.UID // of the Secret; empty where there is none
	version string    // of the Secret
	// before is the version that this process's own last write took the place of, at
	// writtenAt; empty where it wrote none.
	before    string
	writtenAt time.Time
	// fixed says that the Secret cannot be changed into a snapshot's.
	fixed bool
	// opened says why the Secret holds no snapshot of ours for the Connection. What
	// follows is zero then.
	opened      error
	revision    int64
	publishedAt time.Time
	digest      compile.Sum
	policies    map[types.UID]int64 // generations
	beatAt      time.Time           // of the heartbeat of this revision; zero where there is none

	sealed [sha256.Size]byte // of what is signed, with the signature
}

// holding is what a Secret of ours holds.
func holding(secret *corev1.Secret, content *snapshot.Snapshot, digest compile.Sum, beatAt time.Time) *held {
	h := &held{
		uid: secret.UID, version: secret.ResourceVersion, fixed: fixed(secret), sealed: sealed(secret),
		revision: content.Revision, publishedAt: content.Time, digest: digest, beatAt: beatAt,
		policies: make(map[types.UID]int64, len(content.Policies.Policies)),
	}
	for i := range content.Policies.Policies {
		p := &content.Policies.Policies[i]
		h.policies[types.UID(p.UID)] = p.Generation
	}
	return h
}

func fixed(secret *corev1.Secret) bool {
	return secret.UID != "" && (secret.Immutable != nil && *secret.Immutable || secret.Type != v1alpha1.SecretTypeSnapshot)
}

func sealed(secret *corev1.Secret) [sha256.Size]byte {
	data, signature := sha256.Sum256(secret.Data[snapshot.KeySnapshot]), sha256.Sum256(secret.Data[snapshot.KeySnapshotSignature])
	return sha256.Sum256(append(data[:], signature[:]...))
}

// damage says what was done to a Secret since a revision was published.
func (h *held) damage(revision int64) string {
	switch {
	case h.uid == "":
		return "deleted"
	case h.opened != nil:
		return "overwritten"
	case revision > 0 && h.revision < revision:
		return fmt.Sprintf("rolled back to revision %d", h.revision)
	case h.fixed:
		return "frozen"
	default:
		return ""
	}
}

// look returns what the Secret of a Connection holds: from memory where the cache shows
// it as it was left, else from the API server. The life must be locked.
func (p *Publisher) look(ctx context.Context, connection *v1alpha1.Connection, l *life) (held, error) {
	known, err := kit.Metadata(ctx, p.metadata, corev1.SchemeGroupVersion.WithKind("Secret"), connection.Namespace, SecretName(connection.Name))
	if err != nil {
		return held{}, err
	}
	if known != nil && l.held != nil && (l.held.is(known) || l.held.follows(known, p.now())) {
		return *l.held, nil
	}
	l.held = nil
	secret, err := p.read(ctx, connection)
	if err != nil {
		return held{}, err
	}
	live, opened := p.open(secret, connection)
	if opened != nil {
		return held{uid: secret.UID, version: secret.ResourceVersion, fixed: fixed(secret), opened: opened}, nil //nolint:nilerr // what is wrong with it is what was found
	}
	digest, err := compile.Digest(*live)
	if err != nil {
		return held{}, err
	}
	var beatAt time.Time
	if beat, err := snapshot.OpenHeartbeat(secret.Data, p.public()); err == nil && beat.UID == string(connection.UID) && beat.Revision == live.Revision {
		beatAt = beat.Time
	}
	l.held = holding(secret, live, digest, beatAt)
	return *l.held, nil
}

// is says whether an object is the Secret, at the very version.
func (h *held) is(object metav1.Object) bool {
	return h.uid == object.GetUID() && h.version == object.GetResourceVersion()
}

// maxLag is for how long a cache that shows what was before an own write is taken to be
// behind, as it is on a busy machine. Whoever changed the Secret after that write is seen
// when the cache gets there, and by the version that the next write has to find.
const maxLag = 10 * time.Second

// follows says whether the Secret is what came of an object by an own write a moment ago.
func (h *held) follows(object metav1.Object, now time.Time) bool {
	return h.uid == object.GetUID() && h.before != "" && h.before == object.GetResourceVersion() && now.Sub(h.writtenAt) < maxLag
}

// Wrote says whether an object is a snapshot's Secret as this process left it, so that
// there is nothing to look at anew. It does not wait for what is being written.
func (p *Publisher) Wrote(object metav1.Object) bool {
	l := p.of(types.NamespacedName{Namespace: object.GetNamespace(), Name: connectionOf(object.GetName())})
	if l == nil || !l.mu.TryLock() {
		return false
	}
	defer l.mu.Unlock()
	return l.held != nil && l.held.is(object)
}

// Content is what a published snapshot holds.
type Content struct {
	// Revision is the snapshot's; 0 where there is none.
	Revision int64

	policies map[types.UID]int64 // generations
}

// Holds says whether the snapshot holds a generation of a policy.
func (c Content) Holds(policy types.UID, generation int64) bool {
	held, found := c.policies[policy]
	return found && held == generation
}

// Content returns what the published snapshot of a Connection holds; revision 0 where
// there is none. It reads only what this process has neither written nor read.
func (p *Publisher) Content(ctx context.Context, connection *v1alpha1.Connection) (Content, error) {
	published := connection.Status.Snapshot
	if published == nil {
		return Content{}, nil
	}
	l := p.life(connection)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil || l.held.revision < published.Revision {
		if _, err := p.look(ctx, connection, l); err != nil || l.held == nil {
			return Content{}, err
		}
	}
	return Content{Revision: l.held.revision, policies: maps.Clone(l.held.policies)}, nil
}

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
