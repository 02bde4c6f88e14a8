// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// gather reads everything that compiling looks at. Nothing changes what the caches hold.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	in, shared := client.InNamespace(s.connection.Namespace), client.UnsafeDisableDeepCopy
	var connections v1alpha1.ConnectionList
	var policies v1alpha1.AccessPolicyList
	var clusterPolicies v1alpha1.ClusterAccessPolicyList
	var providers v1alpha1.IdentityProviderList
	var sinks v1alpha1.LogSinkList
	if err := errors.Join(r.Client.List(ctx, &connections, in, shared), r.Client.List(ctx, &policies, in, shared), r.Client.List(ctx, &clusterPolicies, shared),
		r.Client.List(ctx, &providers, shared), r.Client.List(ctx, &sinks, shared)); err != nil {
		return err
	}
	labels, err := r.namespaceLabels(ctx, s.connection.Namespace)
	if err != nil {
		return err
	}
	s.world = compile.World{
		Connections: connections.Items, Policies: policies.Items, ClusterPolicies: clusterPolicies.Items,
		Namespaces: map[string]map[string]string{s.connection.Namespace: labels}, Providers: providers.Items, Sinks: sinks.Items,
		Protocols: r.Protocols, MaskKey: r.MaskKey, CheckModule: compile.ModulesBy(ctx, r.CheckModule),
	}
	if s.world.ConfigMaps, err = r.configMaps(ctx, s.connection, s.world.Policies); err != nil {
		return err
	}
	if slices.ContainsFunc(providers.Items, func(p v1alpha1.IdentityProvider) bool { return p.Spec.Login != nil }) {
		if s.world.Login, err = r.login(ctx, s.now); err != nil {
			return err
		}
		var unknown error
		if s.world.Login.Portal, unknown = r.portal(ctx); unknown != nil {
			// Callers have other ways to log in: what is revoked goes out all the same.
			r.warn(s, "LoginPortalUnknown", "Publish", "Nobody logs in by a link: %v", unknown)
		}
	}
	if closed := s.world.Login.Closed; closed != "" {
		r.warn(s, "GatewayCredentialsRefused", "Publish", "%s", closed)
	}
	return nil
}

// login reads what proves gateway credentials.
func (r *Reconciler) login(ctx context.Context, now time.Time) (snapshot.Login, error) {
	keys, err := r.ConfigMaps.Get(ctx, r.Namespace, compile.LoginKeysName)
	if err != nil || keys == nil {
		return snapshot.Login{}, err
	}
	var revoked v1alpha1.GatewayCredentialList
	if err := r.Client.List(ctx, &revoked, client.MatchingFields{revokedIndex: revokedValue}, client.UnsafeDisableDeepCopy); err != nil {
		return snapshot.Login{}, fmt.Errorf("cannot list the revoked gateway credentials: %w", err)
	}
	return compile.Login(keys.Data[compile.LoginKeysKey], revoked.Items, now), nil
}

// namespaceLabels are the labels of a namespace. One that is not known is an error:
// without its labels a ClusterAccessPolicy that selects by them would not hold.
func (r *Reconciler) namespaceLabels(ctx context.Context, name string) (map[string]string, error) {
	namespace, err := kit.Metadata(ctx, r.Metadata, corev1.SchemeGroupVersion.WithKind("Namespace"), "", name)
	if err == nil && namespace == nil {
		err = errors.New("it is not known")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the labels of namespace %q: %w", name, err)
	}
	return namespace.Labels, nil
}

// configMaps reads those that the Connection, and policies about it, refer to.
func (r *Reconciler) configMaps(ctx context.Context, c *v1alpha1.Connection, policies []v1alpha1.AccessPolicy) ([]corev1.ConfigMap, error) {
	var names []string
	if ref := authorityRef(c); ref != nil {
		names = append(names, ref.Name)
	}
	for i := range policies {
		if ref := compile.ModuleRef(&policies[i]); ref != nil && compile.Selects(&policies[i], c) {
			names = append(names, ref.Name)
		}
	}
	slices.Sort(names)
	var found []corev1.ConfigMap
	for _, name := range slices.Compact(names) {
		configMap, err := r.ConfigMaps.Get(ctx, c.Namespace, name)
		if err != nil {
			return nil, err
		}
		if configMap != nil {
			found = append(found, *configMap)
		}
	}
	return found, nil
}
