// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// A heartbeat is written at least five times within the staleness bound of its
// Connection, and at least every maxBeat.
const (
	beatsPerBound = 5
	maxBeat       = 30 * time.Second
	tick          = time.Second
	beatTimeout   = 5 * time.Second
	beatsAtOnce   = 8
)

// heartbeatManager is the field manager of heartbeats, so that writing one leaves
// the snapshot's fields alone.
const heartbeatManager = "doorward-heartbeat"

func beatEvery(maxStalenessSeconds int32) time.Duration {
	return min(maxBeat, time.Duration(maxStalenessSeconds)*time.Second/beatsPerBound)
}

// Start writes the heartbeats that are due until the context ends.
func (p *Publisher) Start(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	p.pulse()
	defer p.rest()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			p.beatAll(ctx)
			p.pulse()
		}
	}
}

// NeedLeaderElection makes the manager run Start on the leader only: a manager
// that does not reconcile must not vouch for anything.
func (p *Publisher) NeedLeaderElection() bool { return true }

func (p *Publisher) beatAll(ctx context.Context) {
	p.mu.Lock()
	all := make(map[types.NamespacedName]*life, len(p.lives))
	for key, l := range p.lives {
		all[key] = l
	}
	p.mu.Unlock()
	var group errgroup.Group
	group.SetLimit(beatsAtOnce)
	for key, l := range all {
		group.Go(func() error {
			if !l.mu.TryLock() { // being published
				return nil
			}
			defer l.mu.Unlock()
			if !l.beating || p.now().Before(l.next) {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, beatTimeout)
			defer cancel()
			err := p.beat(ctx, key.Namespace, key.Name, l)
			p.pulse()
			p.observer.Beat(err)
			if err != nil {
				logr.FromContextOrDiscard(ctx).Error(err, "Cannot write a heartbeat", "Connection", key)
			}
			return nil
		})
	}
	_ = group.Wait() // errors were logged, none is returned
}

// beat writes the heartbeat of the present revision. It never makes the Secret: the uid
// must be that of the one which was published. The answer shows what the Secret holds
// beside it: where that is not what was published, nothing vouches for it any more.
func (p *Publisher) beat(ctx context.Context, namespace, name string, l *life) error {
	now := p.now()
	data, err := snapshot.SealHeartbeat(snapshot.Heartbeat{UID: string(l.uid), Revision: l.revision, Time: now.UTC()}, p.key)
	if err != nil {
		return err
	}
	if l.held == nil {
		l.beating = false
		return errUnknown
	}
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: SecretName(name), Namespace: namespace, UID: l.held.uid},
		Type:       v1alpha1.SecretTypeSnapshot,
		Data:       data,
	}
	var live corev1.Secret
	if err := kit.ApplyAndSee(ctx, p.client, secret, &live, client.FieldOwner(heartbeatManager)); err != nil {
		return fmt.Errorf("cannot write heartbeat: %w", err)
	}
	if live.UID != l.held.uid || sealed(&live) != l.held.sealed || fixed(&live) {
		l.beating, l.held = false, nil
		return errUnknown
	}
	l.held.before, l.held.writtenAt = l.held.version, now
	l.held.version, l.held.beatAt = live.ResourceVersion, now
	l.beating, l.next = true, now.Add(l.every)
	return nil
}

// errUnknown is what a heartbeat ends with that has nothing to vouch for. Whoever changed
// the Secret has raised an event, by which it is repaired.
var errUnknown = errors.New("the Secret does not hold what was published")
