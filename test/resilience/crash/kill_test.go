// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

const (
	// shopInstance is the id of the shop's own proxy.
	shopInstance = stack.Connection + "-1"
	clients      = 6
	// shortRounds and longRounds are how often the proxy is killed, after the
	// first starts.
	starts, shortRounds, longRounds = 3, 15, 200
	// span is how many times as long as its start takes the proxy may live,
	// shortLife and longLife are bounds of it.
	span                = 3
	shortLife, longLife = 2500 * time.Millisecond, 3 * time.Second
	// Every restEvery-th life is longer by rest, so that the log's readers catch
	// up, which look at it once a second.
	restEvery, rest = 20, 4 * time.Second
)

// settings are the Connection's audit settings that TestKill runs with.
var settings = map[string]struct {
	reason      string
	label       string
	readOverlap bool
	apply       func(*v1alpha1.Connection)
}{
	"Unset": {
		reason: "everything waits for its record, reads too: what the target executed is on record",
		label:  "unset",
	},
	"ReadOverlap": {
		reason: "reads may overtake their record: what changed the target, or was delivered to a client, is on record",
		label:  "overlap", readOverlap: true,
		apply: func(c *v1alpha1.Connection) {
			if c.Spec.Audit == nil {
				c.Spec.Audit = &v1alpha1.AuditSettings{}
			}
			c.Spec.Audit.ReadOverlap = v1alpha1.ReadOverlapEnabled
		},
	},
}

// TestKill kills the proxy with SIGKILL at moments spread over its whole life,
// its start and its recovery included, while clients write and read: after each
// restart nothing has been executed at the target that is not on record
// (promise 2; checklist 42).
func TestKill(t *testing.T) {
	rounds, life := shortRounds, shortLife
	if long() {
		rounds, life = longRounds, longLife
	}
	for name, tc := range settings {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			if tc.apply != nil {
				configure(t, tc.apply)
			}
			moments := chance(t)
			s := newScene(t, loadOptions{label: tc.label, proxy: world.Proxy(), clients: clients, reads: true, seed: moments.Uint64()})
			s.readOverlap = tc.readOverlap
			s.survive(t, moments, rounds, life)
		})
	}
}

// survive kills and restarts the proxy, and compares each time. A life is
// bounded by how long a start takes under load, at best, and long enough on any
// machine that clients are let in within it.
func (s *scene) survive(t *testing.T, moments *rand.Rand, rounds int, life time.Duration) {
	t.Helper()
	best := time.Duration(math.MaxInt64)
	for range starts {
		s.kill(t)
		began := time.Now()
		s.launch(t)
		s.answers(t)
		best = min(best, time.Since(began))
	}
	life = max(min(life, span*best), 2*best)
	began := time.Now()
	idle := 0
	for i, delay := range spread(moments, rounds, life) {
		if i%restEvery == restEvery-1 {
			delay += rest
		}
		before, _ := s.load.heard.counts()
		// The kill must fall wherever chance says.
		timer := time.NewTimer(delay)
		<-timer.C
		s.kill(t)
		if after, _ := s.load.heard.counts(); after == before {
			idle++
		}
		s.launch(t)
	}
	s.answers(t)
	if idle == rounds { // the machine has become that slow meanwhile
		s.kill(t)
		s.launch(t)
		s.answers(t)
	}
	took := time.Since(began)
	s.settle(t)
	closed := await(t, "the ends of all AuditSessions", func(ctx context.Context) error { return ended(ctx, shopInstance) })
	if _, answered := s.load.heard.copied(); len(answered) < rounds {
		t.Errorf("%d statements were answered, too few to show anything", len(answered))
	}
	t.Logf("%d times SIGKILL in %s, at moments over the first %s of the proxy's life, %d times before it let anybody in, with %d clients: %s; "+
		"executed and not on record: 0; all AuditSessions closed %s later", rounds+starts, took.Round(time.Second), life.Round(time.Millisecond),
		idle, clients, s.total(), closed.Round(time.Millisecond))
}

// spread returns moments from zero up to a limit, one by chance in each of n
// equal parts, in an order by chance.
func spread(moments *rand.Rand, n int, limit time.Duration) []time.Duration {
	part := limit / time.Duration(n)
	all := make([]time.Duration, n)
	for i, k := range moments.Perm(n) {
		all[i] = part*time.Duration(k) + time.Duration(moments.Int64N(int64(part)))
	}
	return all
}
