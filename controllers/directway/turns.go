// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package directway

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// turns are whose turn it is: namespaces in the order of their names, one Connection
// each, then the next of each.
type turns struct {
	running map[string]int // by namespace
	all     int
	last    string // the namespace that had a turn last
}

// due takes those whose time has come and whose turn it is; over gives each back.
func (p *Prober) due(now time.Time) []types.NamespacedName {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.turns
	waiting := map[string][]types.NamespacedName{}
	for connection, w := range p.wanted {
		if !w.busy && !now.Before(w.due) && t.running[connection.Namespace] < perNamespace {
			waiting[connection.Namespace] = append(waiting[connection.Namespace], connection)
		}
	}
	for _, connections := range waiting { // who waits longest is first
		slices.SortFunc(connections, func(a, b types.NamespacedName) int {
			return cmp.Or(p.wanted[a].due.Compare(p.wanted[b].due), cmp.Compare(a.Name, b.Name))
		})
	}
	namespaces := slices.Sorted(maps.Keys(waiting))
	if at, found := slices.BinarySearch(namespaces, t.last); found {
		namespaces = slices.Concat(namespaces[at+1:], namespaces[:at+1])
	} else {
		namespaces = slices.Concat(namespaces[at:], namespaces[:at])
	}
	var due []types.NamespacedName
	for again := true; again; {
		again = false
		for _, namespace := range namespaces {
			left := waiting[namespace]
			if len(left) == 0 || t.running[namespace] >= perNamespace || t.all >= workers {
				continue
			}
			due, waiting[namespace] = append(due, left[0]), left[1:]
			p.wanted[left[0]].busy = true
			t.running[namespace]++
			t.all++
			t.last, again = namespace, true
		}
	}
	return due
}

// over says that the attempt at a Connection has ended.
func (p *Prober) over(connection types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.turns
	t.all--
	t.running[connection.Namespace]--
	if t.running[connection.Namespace] == 0 {
		delete(t.running, connection.Namespace)
	}
}
