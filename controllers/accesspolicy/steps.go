// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"context"
	"errors"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

// waitForSnapshot is when to look again for a snapshot that is being made.
const waitForSnapshot = time.Second

// maxSelected bounds status.connections.
const maxSelected = 256

func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	in, shared := client.InNamespace(s.policy.Namespace), client.UnsafeDisableDeepCopy // they are only looked at
	var connections v1alpha1.ConnectionList
	var providers v1alpha1.IdentityProviderList
	if err := errors.Join(r.Client.List(ctx, &connections, in, shared), r.Client.List(ctx, &providers, shared)); err != nil {
		return err
	}
	s.world = compile.World{Connections: connections.Items, Providers: providers.Items, Protocols: r.Protocols}
	return nil
}

func (r *Reconciler) compile(_ context.Context, s *scope) error {
	s.result, s.compiled = compile.Policy(s.policy, s.world), true
	return nil
}

// locate looks which published snapshots hold this generation of the policy. The
// revision it was first found at is kept.
func (r *Reconciler) locate(ctx context.Context, s *scope) error {
	before := map[string]int64{}
	if s.policy.Status.ObservedGeneration == s.policy.Generation {
		for _, c := range s.policy.Status.Connections {
			before[c.Name] = c.Revision
		}
	}
	for i := range s.world.Connections {
		c := &s.world.Connections[i]
		if !slices.Contains(s.result.Connections, c.Name) {
			continue
		}
		selected := v1alpha1.SelectedConnection{Name: c.Name}
		live, err := r.held.of(ctx, r.Snapshots, c)
		if err != nil {
			return err
		}
		generation, held := live.policies[s.policy.UID]
		held = held && generation == s.policy.Generation
		switch {
		case held && before[c.Name] > 0:
			selected.Revision = before[c.Name]
		case held:
			selected.Revision = live.revision
		default:
			s.behind = append(s.behind, c.Name)
		}
		s.selected = append(s.selected, selected)
	}
	r.held.keep(s.policy.Namespace, s.world.Connections)
	slices.SortFunc(s.selected, func(a, b v1alpha1.SelectedConnection) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	if len(s.selected) > maxSelected {
		s.selected = s.selected[:maxSelected]
	}
	if !s.result.Accepted.OK() {
		s.behind = nil // it will never get there
	}
	s.located = true
	return nil
}

// revisionChanged lets through what can change a policy's status.
func revisionChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Connection)
		after, okAfter := e.ObjectNew.(*v1alpha1.Connection)
		return !okBefore || !okAfter || before.Generation != after.Generation || revision(before) != revision(after)
	}}
}

func revision(c *v1alpha1.Connection) int64 {
	if c.Status.Snapshot == nil {
		return 0
	}
	return c.Status.Snapshot.Revision
}
