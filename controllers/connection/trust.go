// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/kit"
)

// trust publishes the authorities that callers trust, one ConfigMap a namespace.
func (r *Reconciler) trust(ctx context.Context, s *scope) (err error) {
	if s.bundle, err = r.bundle(ctx, ca.SecretName, r.Authority); err != nil {
		return err
	}
	if s.hosts, err = r.bundle(ctx, ca.HostSecretName, r.HostAuthority); err != nil {
		if r.usesHostKeys(s.connection) {
			return err
		}
		// It is nothing to this Connection, whose callers need the rest of the bundle.
		ctrl.LoggerFrom(ctx).V(1).Info("Leaves the published SSH host authorities as they are", "err", err.Error())
		if s.hosts, err = PublishedHosts(ctx, r.Client, s.connection.Namespace); err != nil {
			return err
		}
	}
	return r.applier.Apply(ctx, TrustBundle(s.connection.Namespace, s.bundle, s.hosts))
}

// bundle reads what an authority's callers trust, where its Secret is another than the
// last time.
func (r *Reconciler) bundle(ctx context.Context, secret string, authority *ca.Store) ([]byte, error) {
	version, err := r.version(ctx, secretKind, r.Namespace, secret)
	if err != nil {
		return nil, err
	}
	return kit.Remembered(r.memory, types.NamespacedName{Namespace: r.Namespace, Name: secret}, "bundle", version, func() ([]byte, error) {
		state, err := authority.State(ctx)
		if err != nil {
			return nil, err
		}
		return state.Bundle(), nil
	})
}

// TrustBundle is the ConfigMap of what callers in a namespace trust: authorities of serving
// certificates, in PEM, and those of SSH host certificates, as lines of known_hosts.
func TrustBundle(namespace string, bundle, hosts []byte) *corev1.ConfigMap {
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: TrustBundleName, Namespace: namespace,
			Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
		},
		Data: map[string]string{trustBundleKey: string(bundle)},
	}
	if len(hosts) > 0 {
		configMap.Data[trustHostsKey] = string(hosts)
	}
	return configMap
}

// PublishedHosts are the SSH host authorities that callers in a namespace have been told
// of: what stays published while the authority cannot be read.
func PublishedHosts(ctx context.Context, c client.Reader, namespace string) ([]byte, error) {
	var configMap corev1.ConfigMap
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: TrustBundleName}, &configMap)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("cannot read trust bundle: %w", err)
	}
	return []byte(configMap.Data[trustHostsKey]), nil
}
