// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// namespaceAdmins lets a group write the policies of the namespace, and no others.
const namespaceAdmins = `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shop-admins, namespace: shop-access}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: doorward-editor}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: shop-admins}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shop-admins-read, namespace: shop-access}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: doorward-auditor}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: shop-admins}]
`

// everythingForCarol is what one of them writes for herself.
const everythingForCarol = `apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata: {name: carol, namespace: shop-access}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: User, name: carol, identityProvider: company}]
  connections: [{name: orders-db}]
  rules: [{name: everything, effect: Allow, actions: ["*"], resources: ["*"]}]
  masks: []
  limits: []
  targetRole: ""
`

// clusterPolicy: whoever writes the policies of a namespace lets herself do everything,
// and what the cluster forbids stays forbidden; nor may she change that.
func (s *site) clusterPolicy(t *testing.T) {
	s.apply(t, namespaceAdmins)
	carol := s.person(t, "carol", "shop-admins")
	token, err := s.issuer.token("carol", "shop-admins")
	if err != nil {
		t.Fatal(err)
	}
	path := s.write(t, "carol.yaml", everythingForCarol)
	// Bindings take a moment to be known.
	await(t, "a policy of the namespace's admin", func(ctx context.Context) error {
		if out, err := s.shell(ctx, carol, "kubectl apply -f "+path); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	t.Cleanup(func() {
		policy := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "carol"}}
		if err := s.admin.Delete(context.WithoutCancel(t.Context()), policy); err != nil {
			t.Error(err)
		}
	})
	s.everywhere(t, "carol")
	await(t, "what the policy allows", func(context.Context) error {
		out, err := s.inPod(t, local, token, "SELECT count(*) FROM payroll")
		if err != nil || strings.TrimSpace(out) != "2" {
			return fmt.Errorf("psql says: %s", out)
		}
		return nil
	})
	out, err := s.inPod(t, local, token, "DROP TABLE payroll")
	if err == nil {
		t.Error("a table was dropped, want a refusal")
	}
	has(t, "psql's output", out, "production is changed by releases", `of ClusterAccessPolicy "production"`)
	if out, err := s.shell(t.Context(), carol, "kubectl delete clusteraccesspolicy production"); err == nil || !strings.Contains(out, "forbidden") {
		t.Errorf("the namespace's admin deletes a ClusterAccessPolicy: %v: %s", err, out)
	}
	out, err = s.shell(t.Context(), s.Kubeconfig(), "kubectl doorward policy explain -n "+namespace+" -c "+local+" --as carol --group shop-admins 'drop public.payroll'")
	if err == nil {
		t.Error("explain allows it")
	}
	has(t, "kubectl doorward policy explain", out, "production", "no-destruction")
}

// shadow: what a policy in mode Audit would have refused of what was done so far is in
// its status and in the records.
func (s *site) shadow(t *testing.T) {
	await(t, "what customers-later would have denied, in its status", func(ctx context.Context) error {
		var policy v1alpha1.AccessPolicy
		if err := s.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "customers-later"}, &policy); err != nil {
			return err
		}
		if policy.Status.Audit == nil || policy.Status.Audit.WouldDeny < 2 {
			return fmt.Errorf("it counts %+v, want at least 2: one from the pod, one from outside", policy.Status.Audit)
		}
		return nil
	})
	await(t, "what customers-later would have denied, in the sink", func(ctx context.Context) error {
		out, err := s.shell(ctx, s.Kubeconfig(), "kubectl doorward audit show --actor alice --type OperationDecided "+s.sink.dir)
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if !strings.Contains(out, "would be: Deny by customers-later/closed") {
			return errors.New("no record of alice's says so")
		}
		return nil
	})
}
