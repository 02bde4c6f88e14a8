// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clusteraccesspolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	shared := client.UnsafeDisableDeepCopy // they are only looked at
	var connections v1alpha1.ConnectionList
	var providers v1alpha1.IdentityProviderList
	if err := errors.Join(r.Client.List(ctx, &connections, shared), r.Client.List(ctx, &providers, shared)); err != nil {
		return err
	}
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := r.Metadata.List(ctx, namespaces, shared); err != nil {
		return fmt.Errorf("cannot read the labels of namespaces: %w", err)
	}
	s.world = compile.World{
		Connections: connections.Items, Namespaces: make(map[string]map[string]string, len(namespaces.Items)),
		Providers: providers.Items, Protocols: r.Protocols,
	}
	for i := range namespaces.Items {
		s.world.Namespaces[namespaces.Items[i].Name] = namespaces.Items[i].Labels
	}
	return nil
}

func (r *Reconciler) compile(_ context.Context, s *scope) error {
	s.result, s.compiled = compile.ClusterPolicy(s.policy, s.world), true
	return nil
}

// locate looks which published snapshots hold this generation of the policy.
func (r *Reconciler) locate(ctx context.Context, s *scope) error {
	s.located = true
	if !s.result.Accepted.OK() {
		return nil // it will never get there
	}
	for i := range s.world.Connections {
		c := &s.world.Connections[i]
		name := c.Namespace + "/" + c.Name
		if _, selected := slices.BinarySearch(s.result.Connections, name); !selected {
			continue
		}
		live, err := r.Snapshots.Content(ctx, c)
		if err != nil {
			s.located = false
			return err
		}
		if !live.Holds(s.policy.UID, s.policy.Generation) {
			s.behind = append(s.behind, name)
		}
	}
	slices.Sort(s.behind)
	return nil
}
