// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Gate is what a snapshot is put in force at.
type Gate interface {
	Apply(ctx context.Context, s *snapshot.Snapshot) error
	Heartbeat(age time.Duration)
}

// Revisions keeps the highest revision seen of each object, durably.
type Revisions interface {
	Get(name string) int64
	// Raise stores a higher value and returns the stored one.
	Raise(name string, value int64) (int64, error)
}

// Snapshots takes the snapshots of one Connection from its Secret.
type Snapshots struct {
	Client          *Client
	Namespace, Name string
	// Key is the manager's, given to the proxy outside of the Secret.
	Key       ed25519.PublicKey
	Gate      Gate
	Revisions Revisions
	Recorder  record.Log
	Problems  *Problems
	Log       logr.Logger
	// Applied, where not nil, is called after a snapshot came into force.
	Applied func(*snapshot.Snapshot)

	// What follows belongs to Run's goroutines, one at a time.
	uid      string // of the Connection, as the API server told
	held     *snapshot.Snapshot
	heldSum  [sha256.Size]byte
	refused  [sha256.Size]byte // of the bytes refused last
	beat     time.Time
	refusals *rate.Limiter
	latest   *corev1.Secret

	wants atomic.Int64
}

// Wants is the least revision that would be taken, where the one that the manager
// published is not above all that were seen; 0 otherwise.
func (s *Snapshots) Wants() int64 { return s.wants.Load() }

// maxClockSkew is how far a heartbeat may lie in the future. Beyond, the clocks
// of manager and proxy differ too much to say how old a heartbeat is.
const maxClockSkew = time.Minute

// The pauses between attempts to apply what could not be applied.
const (
	reapplySoonest = time.Second
	reapplyLatest  = time.Minute
)

var (
	// errRetry marks refusals that another attempt may cure.
	errRetry = errors.New("will be tried again")
	// errConflict marks a second snapshot of the revision in force.
	errConflict = errors.New("one revision, two contents")
)

// Run follows the Secret until ctx ends.
func (s *Snapshots) Run(ctx context.Context) {
	// A refusal is on record; an attacker who rewrites the Secret must not be
	// able to fill the log.
	s.refusals = rate.NewLimiter(rate.Every(10*time.Second), 10)
	seen := make(chan *corev1.Secret, 1)
	follow := s.Client.watchSecret(s.Namespace, snapshotSecret(s.Name), func(secret *corev1.Secret) { replace(seen, secret) })
	follow.failed = func(err error) {
		if err != nil {
			s.Log.V(1).Info("Cannot follow the snapshot", "reason", err.Error())
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow.run(ctx)
	}()
	defer func() { <-done }()
	pause := reapplySoonest
	retry := time.NewTimer(0)
	defer retry.Stop()
	retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s.latest = <-seen:
			pause = reapplySoonest
		case <-retry.C:
			pause = min(2*pause, reapplyLatest)
		}
		if err := s.take(ctx, s.latest); errors.Is(err, errRetry) {
			retry.Reset(pause)
		} else {
			retry.Stop()
		}
	}
}

// replace puts the newest value into a channel of capacity one.
func replace[T any](c chan T, value T) {
	select {
	case <-c:
	default:
	}
	c <- value
}

// take judges what the Secret holds now. What is refused leaves the former
// snapshot in force.
func (s *Snapshots) take(ctx context.Context, secret *corev1.Secret) error {
	if secret == nil {
		s.Problems.Set(v1alpha1.ConditionSnapshotPublished, "SnapshotMissing",
			fmt.Sprintf("Secret %q does not exist: the manager has published no snapshot, or it was deleted", snapshotSecret(s.Name)))
		return nil
	}
	packed := secret.Data[snapshot.KeySnapshot]
	sum := sha256.Sum256(append(bytes.Clone(packed), secret.Data[snapshot.KeySnapshotSignature]...))
	var refusal error
	if s.held == nil || sum != s.heldSum {
		refusal = s.adopt(ctx, secret, sum)
	}
	if refusal == nil {
		s.wants.Store(0)
		s.Problems.Clear(v1alpha1.ConditionSnapshotPublished)
	}
	// A heartbeat proves the snapshot in force also where somebody damaged the
	// other half of the Secret; not where the manager says two things at once.
	if s.held != nil && !errors.Is(refusal, errConflict) {
		s.heartbeat(secret)
	}
	return refusal
}

// adopt verifies a snapshot and puts it in force.
func (s *Snapshots) adopt(ctx context.Context, secret *corev1.Secret, sum [sha256.Size]byte) error {
	next, err := snapshot.Open(secret.Data, s.Key)
	if err != nil {
		return s.refuse(ctx, sum, nil, err)
	}
	if next.Connection.Namespace != s.Namespace || next.Connection.Name != s.Name {
		return s.refuse(ctx, sum, next, fmt.Errorf("it is for connection %q", next.Connection.Namespace+"/"+next.Connection.Name))
	}
	if err := s.checkUID(ctx, next); err != nil {
		return s.refuse(ctx, sum, next, err)
	}
	name := "revision/" + next.Connection.UID
	if highest := s.Revisions.Get(name); next.Revision < highest {
		s.wants.Store(highest + 1)
		return s.refuse(ctx, sum, next, fmt.Errorf("revision %d is older than revision %d, which was seen already", next.Revision, highest))
	}
	if s.held != nil && s.held.Connection.UID == next.Connection.UID && next.Revision == s.held.Revision {
		s.wants.Store(next.Revision + 1)
		return s.refuse(ctx, sum, next, fmt.Errorf("%w: revision %d differs from what is in force under this number", errConflict, next.Revision))
	}
	// Seen durably before it is in force, so that a crash cannot bring back an
	// older one. A disk that does not take it must not keep a revocation out.
	if _, err := s.Revisions.Raise(name, next.Revision); err != nil {
		s.Log.Error(err, "Cannot keep the revision", "revision", next.Revision)
	}
	if err := s.Gate.Apply(ctx, next); err != nil {
		s.Problems.Set(v1alpha1.ConditionSnapshotPublished, "SnapshotRefused", fmt.Sprintf("revision %d cannot be put in force: %v", next.Revision, err))
		s.Log.Error(err, "Cannot apply snapshot", "revision", next.Revision)
		return fmt.Errorf("%w: %w", errRetry, err)
	}
	s.held, s.heldSum = next, sum
	s.Log.Info("Applied snapshot", "revision", next.Revision)
	if s.Applied != nil {
		s.Applied(next)
	}
	return nil
}

// checkUID says whether the snapshot is of the Connection that exists now: one
// that was deleted and created again has a name in common with its predecessor
// and nothing else.
func (s *Snapshots) checkUID(ctx context.Context, next *snapshot.Snapshot) error {
	if s.uid == next.Connection.UID {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	connection, err := s.Client.connections(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%w: cannot learn the UID of connection %q: %w", errRetry, s.Name, err)
	}
	s.uid = string(connection.UID)
	if s.uid != next.Connection.UID {
		return fmt.Errorf("it is for a connection with UID %q, the one that exists has UID %q", next.Connection.UID, s.uid)
	}
	return nil
}

// refuse puts a refusal on record, once for the same bytes, and reports it.
func (s *Snapshots) refuse(ctx context.Context, sum [sha256.Size]byte, next *snapshot.Snapshot, cause error) error {
	s.Problems.Set(v1alpha1.ConditionSnapshotPublished, "SnapshotRefused", "the snapshot in Secret "+snapshotSecret(s.Name)+" was refused: "+cause.Error())
	if s.refused == sum || !s.refusals.Allow() {
		return cause
	}
	s.Log.Error(cause, "Refused snapshot")
	event := record.Event{
		Type: record.SnapshotRefused, Reason: cause.Error(),
		Connection: record.Connection{Namespace: s.Namespace, Name: s.Name},
	}
	if next != nil {
		event.Connection.UID, event.Revision = next.Connection.UID, next.Revision
	}
	if _, err := s.Recorder.Append(ctx, event); err != nil {
		s.Log.Error(err, "Cannot record")
		return errors.Join(cause, err)
	}
	s.refused = sum
	return cause
}

// heartbeat counts a heartbeat that is newer than the last and names the
// snapshot in force.
func (s *Snapshots) heartbeat(secret *corev1.Secret) {
	beat, err := snapshot.OpenHeartbeat(secret.Data, s.Key)
	if err != nil {
		s.Problems.Set(v1alpha1.ConditionProxyAvailable, "HeartbeatRefused", err.Error())
		return
	}
	if beat.UID != s.held.Connection.UID || beat.Revision != s.held.Revision || !beat.Time.After(s.beat) {
		return
	}
	age := time.Since(beat.Time)
	if age < -maxClockSkew {
		s.Problems.Set(v1alpha1.ConditionProxyAvailable, "ClockSkew",
			fmt.Sprintf("the manager's heartbeat lies more than %s in the future: set the clocks of manager and proxy", maxClockSkew))
		return
	}
	s.Problems.Clear(v1alpha1.ConditionProxyAvailable)
	s.beat = beat.Time
	s.Gate.Heartbeat(age)
}
