// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
)

// contents remembers which policies each published snapshot holds, so that a
// snapshot is read once for each revision and not once for each policy and event:
// that would be as many reads as Connections times Connections when all change.
type contents struct {
	mu  sync.Mutex // guards all
	all map[string]map[string]content
}

// content is what a snapshot holds: generations by the UIDs of policies.
type content struct {
	uid      types.UID // of the Connection
	revision int64
	policies map[types.UID]int64
}

// of returns what the published snapshot of a Connection holds; revision 0 where
// there is none.
func (h *contents) of(ctx context.Context, snapshots Snapshots, c *v1alpha1.Connection) (content, error) {
	published := revision(c)
	if published == 0 {
		return content{}, nil
	}
	h.mu.Lock()
	known := h.all[c.Namespace][c.Name]
	h.mu.Unlock()
	if known.uid == c.UID && known.revision == published {
		return known, nil
	}
	live, err := snapshots.Live(ctx, c)
	if err != nil || live == nil {
		return content{}, err
	}
	read := content{uid: c.UID, revision: live.Revision, policies: map[types.UID]int64{}}
	for i := range live.Policies.Policies {
		p := &live.Policies.Policies[i]
		read.policies[types.UID(p.UID)] = p.Generation
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string]map[string]content{}
	}
	if h.all[c.Namespace] == nil {
		h.all[c.Namespace] = map[string]content{}
	}
	h.all[c.Namespace][c.Name] = read
	return read, nil
}

// keep forgets the Connections of a namespace that are not among those that exist.
func (h *contents) keep(namespace string, exist []v1alpha1.Connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all[namespace]) <= len(exist) {
		return
	}
	kept := make(map[string]content, len(exist))
	for i := range exist {
		if known, found := h.all[namespace][exist[i].Name]; found {
			kept[exist[i].Name] = known
		}
	}
	h.all[namespace] = kept
}
