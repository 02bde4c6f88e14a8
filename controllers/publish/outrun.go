// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// What proxies say they have seen is not proven, so that it must do no harm: one
// word moves the revision by maxLeap at most, and not sooner than leapEvery after
// the last, which leaves enough numbers for ever.
const (
	maxLeap   = 1 << 20
	leapEvery = 10 * time.Second
)

// Outrun has the next revision of a Connection be above one that a proxy wants at
// least. Revisions go back behind what proxies have seen when the API server's
// data is restored from an older copy and no manager lived through it: proxies
// refuse them until they are above. It returns whether there is something to
// publish for.
func (p *Publisher) Outrun(connection *v1alpha1.Connection, wants int64) bool {
	l := p.life(connection)
	l.mu.Lock()
	defer l.mu.Unlock()
	floor := l.revision
	if s := connection.Status.Snapshot; s != nil {
		floor = max(floor, s.Revision)
	}
	if now := p.now(); wants > floor && now.Sub(l.outrunAt) >= leapEvery {
		// Nothing vouches for a revision that is not published yet.
		l.revision, l.outrun, l.outrunAt, l.beating = min(wants, floor+maxLeap), true, now, false
		return true
	}
	return false
}
