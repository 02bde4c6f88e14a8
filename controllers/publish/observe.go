// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Observer is told what the Publisher did.
type Observer interface {
	// Published is told of a snapshot that was made current, or could not be.
	Published(took time.Duration, repaired bool, err error)
	// Beat is told of a heartbeat.
	Beat(err error)
}

// unobserved is told what nobody wants to know.
type unobserved struct{}

func (unobserved) Published(time.Duration, bool, error) {}
func (unobserved) Beat(error)                           {}

// Observe has an observer told from now on; to be called before Start.
func (p *Publisher) Observe(o Observer) { p.observer = o }

// Publish makes content, of which revision and time are left empty, the
// Connection's snapshot. Before a revision above those that are reserved is written,
// reserve is called and must make it, and what is reserved, durable in the Connection's
// status; that must fail where somebody else wrote since the Connection was read.
//
// The error wraps snapshot.ErrTooLarge where the content does not fit; nothing
// was written then.
func (p *Publisher) Publish(ctx context.Context, connection *v1alpha1.Connection, content snapshot.Snapshot, reserve func(context.Context, Outcome) error) (Outcome, error) {
	began := time.Now()
	outcome, err := p.publish(ctx, connection, content, reserve)
	p.observer.Published(time.Since(began), outcome.Repaired != "", err)
	return outcome, err
}

// stuckAfter is how long the heartbeats may stand still before the process is
// taken for stuck. One heartbeat takes beatTimeout at most, whatever the API
// server does.
const stuckAfter = 12 * beatTimeout

// pulse says that the heartbeats go on.
func (p *Publisher) pulse() { p.pulsed.Store(p.now().UnixNano()) }

// rest says that there are to be no heartbeats.
func (p *Publisher) rest() { p.pulsed.Store(0) }

// Alive says that the heartbeats stand still while they should not: nil where
// they go on, whether or not the API server takes them, and where this manager
// does not lead.
func (p *Publisher) Alive() error {
	at := p.pulsed.Load()
	if at == 0 {
		return nil
	}
	if still := p.now().Sub(time.Unix(0, at)); still > stuckAfter {
		return fmt.Errorf("the heartbeats of snapshots have stood still for %s", still.Round(time.Second))
	}
	return nil
}
