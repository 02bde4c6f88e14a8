// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// candidates are the engines of the Connections that records name, made when the first
// record does. Safe for concurrent use.
type candidates struct {
	policies  Policies
	newEngine policy.NewEngine

	mu   sync.Mutex
	made map[connectionKey]*connection
}

type connectionKey struct{ namespace, name string }

// connection is one Connection under the candidate policies.
type connection struct {
	Candidate
	// name is namespace/name.
	name   string
	engine policy.Engine
	// addresses and scheduled say that policies look at addresses and at the clock, rego
	// that one has a module, shared that policies look at whether a credential is.
	addresses, scheduled, rego, shared bool
	// gap, where not empty, is why nothing can be decided on it.
	gap gapName
}

func newCandidates(policies Policies, newEngine policy.NewEngine) *candidates {
	return &candidates{policies: policies, newEngine: newEngine, made: map[connectionKey]*connection{}}
}

// of is the Connection that a record names.
func (c *candidates) of(ctx context.Context, named *record.ConnectionDocument) (*connection, error) {
	key := connectionKey{named.Namespace, named.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.made[key]; found != nil {
		return found, nil
	}
	if len(c.made) >= maxGroups {
		return nil, fmt.Errorf("the records are of more than %d Connections: replay those of one", maxGroups)
	}
	made := &connection{name: named.Namespace + "/" + named.Name}
	candidate, err := c.policies.Of(named.Namespace, named.Name)
	switch {
	case errors.Is(err, ErrNoConnection):
		made.gap = gapName{"ConnectionUnknown", made.name, err.Error()}
	case err != nil:
		return nil, fmt.Errorf("cannot compile the policies for Connection %q: %w", made.name, err)
	default:
		made.Candidate = candidate
		if made.engine, err = c.newEngine(ctx, candidate.Set, candidate.About); err != nil {
			return nil, fmt.Errorf("cannot compile the policies for Connection %q: %w", made.name, err)
		}
		for i := range candidate.Set.Policies {
			p := &candidate.Set.Policies[i]
			made.rego = made.rego || p.Rego != ""
			for _, c := range p.When {
				made.addresses = made.addresses || len(c.Sources) > 0
				made.scheduled = made.scheduled || c.Schedule != nil
				made.shared = made.shared || c.SharedCredential
			}
		}
		made.addresses = made.addresses || made.rego
	}
	c.made[key] = made
	return made, nil
}
