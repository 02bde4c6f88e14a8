// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

// TestLogStaysPrivate: a kubelet that gives a volume to a pod's group opens every
// file in it to that group, unless it is told to look at the volume's root first. The
// log's key would be refused by the next pod.
func TestLogStaysPrivate(t *testing.T) {
	c := &v1alpha1.Connection{}
	c.Namespace, c.Name, c.Spec.Proxy.Placement = "shop-access", "shop", v1alpha1.PlacementManaged
	security := New(Options{Image: "default:1"}).podTemplate(c, 5432).Spec.SecurityContext
	if security.FSGroup == nil || security.FSGroupChangePolicy == nil || *security.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch {
		t.Errorf("security context %+v: want a group for the volume, given when its root is not the group's yet", security)
	}
}

// TestPodHasItsOwnSecretsOnly is checklist 41: a pod has no Secret mounted that is
// another Connection's or the manager's own, whatever its Connection names.
func TestPodHasItsOwnSecretsOnly(t *testing.T) {
	connection := func(name, secret string) v1alpha1.Connection {
		c := v1alpha1.Connection{}
		c.Namespace, c.Name, c.Generation, c.Spec.Proxy.Placement = "shop-access", name, 1, v1alpha1.PlacementManaged
		c.Spec.Credential.Secret = &v1alpha1.SecretReference{Name: secret}
		return c
	}
	shop := connection("shop", "shop-credential")
	shop.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, ObservedGeneration: 1}}
	for name, tc := range map[string]struct {
		reason string
		c      v1alpha1.Connection
		want   bool
	}{
		"Own":      {"its own credential is mounted, whoever else names it later", shop, true},
		"Other":    {"another Connection has it", connection("thief", "shop-credential"), false},
		"Reserved": {"the private key of another Connection's certificate", connection("thief", "doorward-shop-serving"), false},
	} {
		t.Run(name, func(t *testing.T) {
			world := compile.World{Connections: []v1alpha1.Connection{shop, connection("thief", "shop-credential"), tc.c}}
			mounted := false
			for _, v := range New(Options{Image: "default:1"}).podTemplate(entrusted(&tc.c, world), 5432).Spec.Volumes {
				mounted = mounted || v.Secret != nil
			}
			if mounted != tc.want {
				t.Errorf("%s: mounted: %t", tc.reason, mounted)
			}
		})
	}
}

// TestBudgetLetsNodesBeDrained: where two proxies are not ready, such as those of a
// Connection at fault, a budget that only counts those that are would keep both on
// their nodes.
func TestBudgetLetsNodesBeDrained(t *testing.T) {
	spec := budget(&v1alpha1.Connection{}).Spec
	if spec.MaxUnavailable == nil || spec.MaxUnavailable.IntValue() != 1 || spec.UnhealthyPodEvictionPolicy == nil || *spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow {
		t.Errorf("budget is %+v", spec)
	}
}
