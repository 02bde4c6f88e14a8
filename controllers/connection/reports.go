// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/proxy/report"
)

// maxInstances bounds how many entries are looked at.
const maxInstances = 64

// observed is a live instance's report and when it becomes stale.
type observed struct {
	report.Report
	staleAt time.Time
}

// tracker remembers when this process last saw an entry change. Clocks of proxies
// may be off, so that an entry is stale when it did not change for
// report.StaleAfter by the manager's clock; the proxy's own time stands in for
// entries that were there before this process.
type tracker struct {
	mu   sync.Mutex // guards seen
	seen map[types.NamespacedName]map[string]sighting
}

type sighting struct {
	text string
	at   time.Time
}

func newTracker() *tracker {
	return &tracker{seen: map[types.NamespacedName]map[string]sighting{}}
}

// observe returns the live reports, sorted by instance, and the keys of entries
// that are stale or no reports at all.
func (t *tracker) observe(key types.NamespacedName, data map[string]string, now time.Time) (live []observed, stale []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.seen[key]
	after := make(map[string]sighting, len(data))
	for instance, text := range data {
		r, err := report.Decode(instance, text)
		if err != nil {
			stale = append(stale, instance)
			continue
		}
		at := now
		if last, ok := before[instance]; ok && last.text == text {
			at = last.at
		} else if !known && r.ObservedAt.Before(now) {
			at = r.ObservedAt
		}
		if now.Sub(at) >= report.StaleAfter {
			stale = append(stale, instance)
			continue
		}
		after[instance] = sighting{text: text, at: at}
		live = append(live, observed{Report: r, staleAt: at.Add(report.StaleAfter)})
	}
	t.seen[key] = after
	slices.SortFunc(live, func(a, b observed) int { return cmp.Compare(a.Instance, b.Instance) })
	slices.Sort(stale)
	if len(live) > maxInstances {
		live = live[:maxInstances]
	}
	return live, stale
}

// lastSaid is the last report of an instance that is gone; none where it is no report.
func lastSaid(instance, text string, now time.Time) []observed {
	r, err := report.Decode(instance, text)
	if err != nil {
		return nil
	}
	at := r.ObservedAt
	if at.After(now) {
		at = now
	}
	return []observed{{Report: r, staleAt: at.Add(report.StaleAfter)}}
}

func (t *tracker) forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, key)
}
