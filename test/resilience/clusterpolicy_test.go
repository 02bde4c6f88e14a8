// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// bound is a label of namespaces that a ClusterAccessPolicy of these tests selects by.
const bound = "shop.example/bound"

// noOrders refuses a user the orders in the namespaces that are selected.
func noOrders(user string, namespaces v1alpha1.NamespaceSelector) *v1alpha1.ClusterAccessPolicy {
	return &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Spec: v1alpha1.ClusterAccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{}, Subjects: stack.Users(user),
			Namespaces: []v1alpha1.NamespaceSelector{namespaces}, Connections: []v1alpha1.ConnectionSelector{{Name: "*"}},
			Rules: []v1alpha1.Rule{{Name: "no-orders", Effect: v1alpha1.EffectDeny, Actions: []string{"select"}, Resources: []string{"public.orders"}}},
			Masks: []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}

// TestClusterPolicyWithinASecond takes access away by what stands above the namespace, and
// measures from the API server's acceptance to the end of the live session (promise 8;
// checklist 36).
func TestClusterPolicyWithinASecond(t *testing.T) {
	inForce := func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) {
		t.Helper()
		if err := world.Admin.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = world.Admin.Delete(context.WithoutCancel(t.Context()), p) })
		await(t, "a ClusterAccessPolicy in force", func(ctx context.Context) error {
			if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
				return err
			}
			for _, c := range p.Status.Conditions {
				if c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue && c.ObservedGeneration == p.Generation {
					return nil
				}
			}
			return fmt.Errorf("not ready: %+v", p.Status.Conditions)
		})
	}
	for name, tc := range map[string]struct {
		reason string
		// prepare is done before the session begins, revoke while it runs.
		prepare func(t *testing.T, p *v1alpha1.ClusterAccessPolicy)
		revoke  func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) time.Time
	}{
		"Created": {
			reason:  "it was not there",
			prepare: func(*testing.T, *v1alpha1.ClusterAccessPolicy) {},
			revoke: func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) time.Time {
				t.Helper()
				if err := world.Admin.Create(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = world.Admin.Delete(context.WithoutCancel(t.Context()), p) })
				return time.Now()
			},
		},
		"Edited": {
			reason: "it only recorded",
			prepare: func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) {
				t.Helper()
				p.Spec.Mode = v1alpha1.PolicyModeAudit
				inForce(t, p)
			},
			revoke: func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) time.Time {
				t.Helper()
				return change(t, p, func(p *v1alpha1.ClusterAccessPolicy) { p.Spec.Mode = v1alpha1.PolicyEnforce })
			},
		},
		"NamespaceLabelled": {
			reason: "the namespace was not among those it is about",
			prepare: func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) {
				t.Helper()
				p.Spec.Namespaces = []v1alpha1.NamespaceSelector{{MatchLabels: map[string]string{bound: p.Name}}}
				inForce(t, p)
			},
			revoke: func(t *testing.T, p *v1alpha1.ClusterAccessPolicy) time.Time {
				t.Helper()
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stack.Namespace}}
				return change(t, namespace, func(n *corev1.Namespace) { metav1.SetMetaDataLabel(&n.ObjectMeta, bound, p.Name) })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			var policies []*v1alpha1.AccessPolicy
			for i := range repetitions {
				user := fmt.Sprintf("cap-%s-%d", lower(name), i)
				policies = append(policies, stack.Policy(user, stack.Users(user), talk, readOrders))
			}
			givePolicy(t, policies...)
			var took []time.Duration
			for _, policy := range policies {
				above := noOrders(policy.Name, v1alpha1.NamespaceSelector{Name: stack.Namespace})
				tc.prepare(t, above)
				s := login(t, caller{User: policy.Name})
				s.Must(t, "SELECT count(*) FROM orders")
				ending := watch(t, s, true)
				took = append(took, revoked(t, ending, tc.revoke(t, above)))
			}
			report(t, took)
		})
	}
}
