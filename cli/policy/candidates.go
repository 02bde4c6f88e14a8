// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/controllers/compile"
)

// candidates are policies in files, for the replay of what was recorded.
type candidates struct {
	objects *objects
	world   func(namespace string) compile.World
}

// loadCandidates reads policies that are to be replayed. One that would not be accepted is
// an error: what it was meant to change is not known.
func loadCandidates(deps *Dependencies) replay.Load {
	return func(ctx context.Context, paths []string) (replay.Policies, error) {
		all, err := loadFiles(paths, "")
		if err != nil {
			return nil, err
		}
		if len(all.policies)+len(all.clusterPolicies) == 0 {
			return nil, errors.New("no policies were found: --policies names files or folders with policies and the Connections that they are about")
		}
		all.assumeAuthority()
		refused := all.judgeAll(ctx, deps)
		found := &candidates{objects: all, world: func(namespace string) compile.World { return all.world(ctx, namespace, deps) }}
		faults := make([]error, len(refused))
		for i := range refused {
			faults[i] = &refused[i]
		}
		return found, errors.Join(faults...)
	}
}

// Of implements replay.Policies.
func (c *candidates) Of(namespace, name string) (replay.Candidate, error) {
	connection, err := c.objects.find(namespace, name)
	if err != nil {
		return replay.Candidate{}, fmt.Errorf("%w: %w", replay.ErrNoConnection, err)
	}
	result := compile.Connection(connection, c.world(namespace))
	if result.Snapshot == nil {
		return replay.Candidate{}, c.objects.refusal(connection, result.Accepted.Reason, result.Accepted.Message)
	}
	return replay.Candidate{Set: result.Snapshot.Policies, About: result.Snapshot.About()}, nil
}

// judgeAll returns the policies of all namespaces that are not accepted, sorted by place.
func (o *objects) judgeAll(ctx context.Context, deps *Dependencies) []refusedPolicy {
	namespaces := map[string]bool{"": true}
	for i := range o.policies {
		namespaces[o.policies[i].Namespace] = true
	}
	for i := range o.connections {
		namespaces[o.connections[i].Namespace] = true
	}
	var all []refusedPolicy
	for namespace := range namespaces {
		for _, refused := range o.judge(o.world(ctx, namespace, deps)) {
			if !slices.Contains(all, refused) {
				all = append(all, refused)
			}
		}
	}
	slices.SortFunc(all, func(a, b refusedPolicy) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}
