// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestDisguisedPods is checklist 52: what has the labels of proxies is none, and a policy
// that lets such labels in lets others in. The pods that the manager's workloads have are
// proxies, and two Connections may share a target.
func TestDisguisedPods(t *testing.T) {
	const ns = "disguise"
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	for name, spool := range map[string]*v1alpha1.SpoolVolume{"shop": nil, "till": {Size: resource.MustParse("1Gi")}} {
		c := managedConnection(name)
		c.Namespace = ns
		c.Spec.Targets = []v1alpha1.Target{{Host: "192.0.2.1", Port: 5432}}
		c.Spec.Proxy.Managed = &v1alpha1.ManagedProxy{Replicas: 2, Spool: spool}
		c.Spec.Audit = &v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote}
		if spool != nil {
			c.Spec.Audit.Durability = v1alpha1.AuditDurabilityLocal
		}
		c.Spec.Isolation = &v1alpha1.Isolation{PodSelector: selector, Probe: v1alpha1.IsolationProbeDisabled}
		create(t, c)
	}
	create(t, targetPod(ns, "db-0", false))
	become := func(want string, texts ...string) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			for _, name := range []string{"shop", "till"} {
				live := get(g, ns, name, &v1alpha1.Connection{})
				g.Expect(reason(live, v1alpha1.ConditionIsolated)).To(gomega.Equal(want), name+": "+message(live, v1alpha1.ConditionIsolated))
				for _, text := range texts {
					g.Expect(message(live, v1alpha1.ConditionIsolated)).To(gomega.ContainSubstring(text))
				}
			}
		})
	}
	labels := map[string]string{kit.LabelName: "doorward", kit.LabelManagedBy: "doorward", "app.kubernetes.io/component": "proxy", kit.LabelConnection: "shop"}
	eventually(t, func(g gomega.Gomega) {
		for _, name := range []string{"shop", "till"} {
			var pods corev1.PodList
			g.Expect(admin.List(t.Context(), &pods, client.InNamespace(ns), client.MatchingLabels{kit.LabelConnection: name})).To(gomega.Succeed())
			g.Expect(pods.Items).To(gomega.HaveLen(2))
		}
	})
	become("Unknown NotProbed")

	impostor := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "doorward-shop-x", Labels: labels}, Spec: strangerSpec()}
	impostor.Spec.ServiceAccountName = "doorward-shop"
	create(t, impostor)
	become("False SharedNamespace", ": move doorward-shop-x")
	if err := admin.Delete(t.Context(), impostor); err != nil {
		t.Fatal(err)
	}
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "doorward-more"},
		Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{
			PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{kit.LabelName: "doorward", "app.kubernetes.io/component": "proxy"}},
		}}}}},
	}
	create(t, policy)
	become("False OtherPolicies", "doorward-more")
	if err := admin.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	become("Unknown NotProbed")
}

// TestTamperAsHeartbeat: a heartbeat is passed over, and nothing that
// somebody does to the snapshot in its name is.
func TestTamperAsHeartbeat(t *testing.T) {
	const ns, name = "tamper", "quiet"
	c := external(ns, name)
	c.Spec.Proxy.MaxStalenessSeconds = 30
	create(t, c)
	first := awaitSnapshot(t, ns, name, 1, 0)
	secret := func(g gomega.Gomega) *corev1.Secret { return get(g, ns, publish.SecretName(name), &corev1.Secret{}) }
	var before *corev1.Secret
	eventually(t, func(g gomega.Gomega) {
		now, last := secret(g), before
		if last == nil || !bytes.Equal(last.Data[snapshot.KeyHeartbeat], now.Data[snapshot.KeyHeartbeat]) {
			before = now
		}
		g.Expect(last).NotTo(gomega.BeNil())
		g.Expect(now.Data[snapshot.KeyHeartbeat]).NotTo(gomega.Equal(last.Data[snapshot.KeyHeartbeat]))
		// The first after a snapshot takes the heartbeat over from it.
		g.Expect(publish.BeatOnly(last, now)).To(gomega.BeTrue(), "a heartbeat: %+v", now.ManagedFields)
	})

	// Who may write Secrets gives all of the data to the heartbeats' manager, which
	// changes none of it.
	eventually(t, func(g gomega.Gomega) {
		before = secret(g)
		given := before.DeepCopy()
		all := map[string]any{"f:data": map[string]any{}}
		for key := range given.Data {
			all["f:data"].(map[string]any)["f:"+key] = map[string]any{}
		}
		text, err := json.Marshal(all)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		for i := range given.ManagedFields {
			if given.ManagedFields[i].Manager == "doorward-heartbeat" {
				given.ManagedFields[i].FieldsV1 = metav1.NewFieldsV1(string(text))
			}
		}
		g.Expect(admin.Update(t.Context(), given)).To(gomega.Succeed())
		before = given
		// And then writes another snapshot in its name.
		forged := &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: given.Name},
			Data:       map[string][]byte{},
		}
		for key, value := range given.Data {
			forged.Data[key] = value
		}
		forged.Data[snapshot.KeySnapshot] = []byte("forged")
		g.Expect(kit.Apply(t.Context(), admin, forged, client.FieldOwner("doorward-heartbeat"))).To(gomega.Succeed())
		after := secret(g)
		g.Expect(string(after.Data[snapshot.KeySnapshot])).To(gomega.Equal("forged"))
		g.Expect(publish.BeatOnly(before, after)).To(gomega.BeFalse(), "%+v", after.ManagedFields)
	})
	awaitSnapshot(t, ns, name, first.revision+1, 0)
}
