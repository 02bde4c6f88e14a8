// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

// maxSelected bounds status.connections.
const maxSelected = 256

func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	in, shared := client.InNamespace(s.policy.Namespace), client.UnsafeDisableDeepCopy // they are only looked at
	var connections v1alpha1.ConnectionList
	var providers v1alpha1.IdentityProviderList
	if err := errors.Join(r.Client.List(ctx, &connections, in, shared), r.Client.List(ctx, &providers, shared)); err != nil {
		return err
	}
	s.world = compile.World{
		Connections: connections.Items, Providers: providers.Items, Protocols: r.Protocols,
		CheckModule: compile.ModulesBy(ctx, r.CheckModule),
	}
	if ref := compile.ModuleRef(s.policy); ref != nil {
		configMap, err := r.ConfigMaps.Get(ctx, s.policy.Namespace, ref.Name)
		if err != nil {
			return err
		}
		if configMap != nil {
			s.world.ConfigMaps = []corev1.ConfigMap{*configMap}
		}
	}
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
		live, err := r.Snapshots.Content(ctx, c)
		if err != nil {
			return err
		}
		held := live.Holds(s.policy.UID, s.policy.Generation)
		switch {
		case held && before[c.Name] > 0:
			selected.Revision = before[c.Name]
		case held:
			selected.Revision = live.Revision
		default:
			s.behind = append(s.behind, c.Name)
		}
		s.selected = append(s.selected, selected)
	}
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
