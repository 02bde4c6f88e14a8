// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/witness"
)

// rights makes the proxies' ServiceAccount with exactly what a proxy of this
// Connection needs, and the ConfigMaps that they report in and show their
// checkpoints to the witness in.
func (r *Reconciler) rights(ctx context.Context, s *scope) error {
	c := s.connection
	meta := metav1.ObjectMeta{Name: ObjectName(c.Name)}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	granted := c
	if s.result.Snapshot == nil && !managed(c) {
		// What a Connection at fault names may be somebody else's.
		granted = c.DeepCopy()
		granted.Spec.Credential.Secret = nil
	}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: Rules(granted)}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: meta.Name, Namespace: c.Namespace}},
	}
	reports := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: report.ConfigMapName(c.Name)}}
	checkpoints := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: witness.ConfigMapName(c.Name)}}
	kit.Owned(account, c, "Connection", v1alpha1.GroupVersion.String())
	kit.Owned(role, c, "Connection", v1alpha1.GroupVersion.String())
	kit.Owned(binding, c, "Connection", v1alpha1.GroupVersion.String())
	kit.Owned(reports, c, "Connection", v1alpha1.GroupVersion.String())
	kit.Owned(checkpoints, c, "Connection", v1alpha1.GroupVersion.String())
	for _, apply := range []func() error{
		func() error { return r.applier.Apply(ctx, account) },
		func() error { return r.applier.Apply(ctx, role) },
		func() error { return r.applier.Apply(ctx, binding) },
		func() error { return r.applier.Apply(ctx, reports) },
		func() error { return r.applier.Apply(ctx, checkpoints) },
	} {
		if err := apply(); err != nil {
			return err
		}
	}
	return nil
}

// Rules are the rights of a Connection's proxies. Where a rule names no object,
// admission holds the proxy to its own Connection by the verb serve.
func Rules(c *v1alpha1.Connection) []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	secrets := []string{publish.SecretName(c.Name), ServingSecretName(c.Name), snapshot.SinkSecretName(c.Name)}
	if secret := c.Spec.Credential.Secret; secret != nil && !managed(c) {
		// A Managed proxy has it mounted and reads no credential Secret.
		secrets = append(secrets, secret.Name)
	}
	group := []string{v1alpha1.GroupName}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: secrets, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{report.ConfigMapName(c.Name)}, Verbs: []string{"get", "patch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{witness.ConfigMapName(c.Name)}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}},
		{APIGroups: group, Resources: []string{"connections"}, ResourceNames: []string{c.Name}, Verbs: []string{"get", v1alpha1.VerbServe}},
		// The proxy marks the one use of an approval.
		{APIGroups: group, Resources: []string{"approvalrequests"}, Verbs: []string{"create", "get", "list", "watch", "patch"}},
		{APIGroups: group, Resources: []string{"auditsessions"}, Verbs: []string{"create", "get", "list", "watch"}},
		// What the witness holds of their logs; the manager alone writes it.
		{APIGroups: group, Resources: []string{"auditlogs"}, Verbs: read},
		{APIGroups: group, Resources: []string{"auditsessions/status"}, Verbs: []string{"patch"}},
	}
	if !managed(c) {
		// An External proxy renews the token of its kubeconfig; a Managed one has
		// its token from the kubelet.
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{ObjectName(c.Name)}, Verbs: []string{"create"},
		})
	}
	return rules
}
