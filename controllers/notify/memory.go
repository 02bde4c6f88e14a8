// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

const (
	// A receiver is sent one notification a second, and some at once after a pause, which
	// is what chats take.
	perSecond = 1
	atOnce    = 10
	// firstPause and longestPause are how long a receiver is left alone after a failure.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	// giveUpAfter is how long one notification is tried.
	giveUpAfter = time.Hour
)

// key is one notification to a receiver.
type key struct {
	request types.UID
	event   v1alpha1.NotifierEvent
}

// attempts are those at one notification.
type attempts struct {
	since time.Time
	count int
}

// memory is what this process knows of one Notifier. Only its own reconciliation, of which
// there is one at a time, uses it. It holds an entry for each notification that waits, and
// those end with their ApprovalRequests.
type memory struct {
	uid      types.UID
	limiter  *rate.Limiter
	failures int
	// until is when the receiver may be tried again.
	until time.Time
	// settings is the digest of those that failures are about.
	settings [sha256.Size]byte
	// tried are the attempts to send what was not taken.
	tried map[key]attempts
	// over are notifications whose end the cache does not show yet, or could not be
	// written down.
	over map[key]v1alpha1.NotificationResult
	// waiting is what was to be told when that was last looked for.
	waiting map[key]bool
	// carried is what waited when the selection was last changed: it is told although it
	// is of before, where the present selection has it too.
	carried map[key]bool
	// reachable is what the last attempt came to; nil before the first.
	reachable *kit.Verdict
}

// remember returns what is known of a Notifier; of one that was made anew nothing is.
func (r *Reconciler) remember(n *v1alpha1.Notifier) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.known[n.Name]
	if m == nil || m.uid != n.UID {
		m = &memory{
			uid: n.UID, limiter: rate.NewLimiter(perSecond, atOnce),
			tried: map[key]attempts{}, over: map[key]v1alpha1.NotificationResult{},
		}
		r.known[n.Name] = m
	}
	return m
}

func (r *Reconciler) forget(name string) {
	r.mu.Lock()
	delete(r.known, name)
	r.mu.Unlock()
	if r.Figures != nil {
		r.Figures.NotifierGone(name)
	}
}

// order puts what waits in the order in which it is sent. What was tried in vain comes after
// what was not: one request whose text a receiver chokes on must not hold up the others. What
// somebody waits for, or must hear of while it lasts, comes before what is over. Requesters take
// turns, so that none has approvers hear of nobody else; of each the eldest comes first.
func (m *memory) order(waiting []pending) {
	type line struct {
		tried, rank int
		requester   string
	}
	in := func(p *pending) line {
		rank := 1
		if p.event == v1alpha1.NotifyRequested || p.event == v1alpha1.NotifyBreakGlass {
			rank = 0
		}
		return line{m.tried[p.key].count, rank, p.request.Spec.Requester.Username}
	}
	slices.SortStableFunc(waiting, func(a, b pending) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.request.Namespace, b.request.Namespace), cmp.Compare(a.request.Name, b.request.Name))
	})
	turns := map[line]int{}
	for i := range waiting {
		of := in(&waiting[i])
		waiting[i].turn = turns[of]
		turns[of]++
	}
	slices.SortStableFunc(waiting, func(a, b pending) int {
		of, other := in(&a), in(&b)
		return cmp.Or(cmp.Compare(of.tried, other.tried), cmp.Compare(of.rank, other.rank), cmp.Compare(a.turn, b.turn))
	})
}

// keep drops what is known of notifications that do not wait any more.
func (m *memory) keep(waiting []pending) {
	still := make(map[key]bool, len(waiting))
	for _, p := range waiting {
		still[p.key] = true
	}
	for k := range m.tried {
		if !still[k] {
			delete(m.tried, k)
		}
	}
	for k := range m.over {
		if !still[k] {
			delete(m.over, k)
		}
	}
	for k := range m.carried {
		if !still[k] {
			delete(m.carried, k)
		}
	}
	m.waiting = still
}

// uses forgets failures of other settings: who has mended something need not wait.
func (m *memory) uses(r *receiver, generation int64) {
	settings := sha256.Sum256(fmt.Appendf(nil, "%d %q %q", generation, r.url, map[string][]string(r.headers)))
	if settings != m.settings {
		m.settings, m.failures, m.until = settings, 0, time.Time{}
	}
}

// failed leaves the receiver alone for a while: longer each time, never as long as others,
// and at least as long as it asks for.
func (m *memory) failed(now time.Time, asked time.Duration) {
	pause := longestPause
	if m.failures < 9 {
		pause = min(pause, firstPause<<m.failures)
	}
	m.failures++
	pause = pause*3/4 + rand.N(pause/2) //nolint:gosec // spreads load, hides nothing
	m.until = now.Add(min(max(pause, asked), longestPause))
}
