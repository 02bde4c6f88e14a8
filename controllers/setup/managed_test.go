// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

func managedConnection(name string) *v1alpha1.Connection {
	c := external("managed", name)
	c.Spec.Proxy = v1alpha1.Proxy{Placement: v1alpha1.PlacementManaged}
	return c
}

// TestManaged makes every object of a Managed proxy, as the restricted Pod
// Security Standard wants it, and repairs what somebody changes.
func TestManaged(t *testing.T) {
	const ns = "managed"
	eventually(t, func(g gomega.Gomega) {
		namespace := get(g, "", ns, &corev1.Namespace{})
		namespace.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
		g.Expect(admin.Update(t.Context(), namespace)).To(gomega.Succeed())
	})
	c := managedConnection("shop")
	c.Spec.Audit = &v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote} // there is no volume claim yet
	c.Spec.Isolation = &v1alpha1.Isolation{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}
	create(t, c)
	eventually(t, func(g gomega.Gomega) {
		d := get(g, ns, "doorward-shop", &appsv1.Deployment{})
		g.Expect(d.OwnerReferences).To(gomega.HaveLen(1))
		args := strings.Join(d.Spec.Template.Spec.Containers[0].Args, " ")
		g.Expect(args).To(gomega.ContainSubstring("--connection=managed/shop --listen=managed/shop=:5432 --review-address=managed/shop=:8444 --recordings-address=managed/shop=:8447 --credential-dir="))
		pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: *d.Spec.Template.Spec.DeepCopy()}
		pod.Namespace, pod.Name = ns, "probe"
		g.Expect(pod.Labels).To(gomega.HaveKeyWithValue("team", "data"), "the installation's settings")
		g.Expect(admin.Create(t.Context(), pod, client.DryRunAll)).To(gomega.Succeed())
		get(g, ns, "doorward-shop", &corev1.Service{})
		get(g, ns, "doorward-shop", &corev1.ServiceAccount{})
		get(g, ns, "doorward-shop", &rbacv1.Role{})
		get(g, ns, "doorward-shop", &rbacv1.RoleBinding{})
		get(g, ns, "doorward-shop", &policyv1.PodDisruptionBudget{})
		n := get(g, ns, "doorward-shop", &networkingv1.NetworkPolicy{})
		g.Expect(n.Spec.Ingress).To(gomega.HaveLen(1))
		g.Expect(n.Spec.Ingress[0].From[0].PodSelector.MatchLabels).To(gomega.HaveKeyWithValue("doorward.dev/connection", "shop"))
		live := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(live.Status.Endpoint).To(gomega.Equal("doorward-shop.managed.svc:5432"))
		g.Expect(reason(live, v1alpha1.ConditionIsolated)).To(gomega.HavePrefix("Unknown "), message(live, v1alpha1.ConditionIsolated))
	})
	// Drift: a proxy without its arguments, a policy that lets everybody in, a
	// role with more rights, a service that is gone.
	eventually(t, func(g gomega.Gomega) {
		d := get(g, ns, "doorward-shop", &appsv1.Deployment{})
		d.Spec.Template.Spec.Containers[0].Args = []string{"--snapshot-key=mine"}
		g.Expect(admin.Update(t.Context(), d)).To(gomega.Succeed())
		n := get(g, ns, "doorward-shop", &networkingv1.NetworkPolicy{})
		n.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		g.Expect(admin.Update(t.Context(), n)).To(gomega.Succeed())
		role := get(g, ns, "doorward-shop", &rbacv1.Role{})
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}})
		g.Expect(admin.Update(t.Context(), role)).To(gomega.Succeed())
		g.Expect(admin.Delete(t.Context(), get(g, ns, "doorward-shop", &corev1.Service{}))).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		d := get(g, ns, "doorward-shop", &appsv1.Deployment{})
		g.Expect(d.Spec.Template.Spec.Containers[0].Args).NotTo(gomega.ContainElement("--snapshot-key=mine"))
		g.Expect(get(g, ns, "doorward-shop", &networkingv1.NetworkPolicy{}).Spec.Ingress[0].From).To(gomega.HaveLen(1))
		for _, rule := range get(g, ns, "doorward-shop", &rbacv1.Role{}).Rules {
			g.Expect(rule.Verbs).NotTo(gomega.ContainElement("*"))
		}
		get(g, ns, "doorward-shop", &corev1.Service{})
	})
	// A volume claim turns the Deployment into a StatefulSet.
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "shop", &v1alpha1.Connection{})
		c.Spec.Proxy.Managed = &v1alpha1.ManagedProxy{Replicas: 1, Spool: &v1alpha1.SpoolVolume{Size: resource.MustParse("1Gi")}}
		g.Expect(admin.Update(t.Context(), c)).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		s := get(g, ns, "doorward-shop", &appsv1.StatefulSet{})
		pod := &corev1.Pod{ObjectMeta: s.Spec.Template.ObjectMeta, Spec: *s.Spec.Template.Spec.DeepCopy()}
		pod.Namespace, pod.Name = ns, "probe"
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "spool", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "spool-doorward-shop-0"},
		}})
		g.Expect(admin.Create(t.Context(), pod, client.DryRunAll)).To(gomega.Succeed())
		g.Expect(pod.Spec.Containers[0].Args).To(gomega.ContainElement("--spool-max-bytes=912680530"), "85 % of the claim")
		g.Expect(s.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled).To(gomega.Equal(appsv1.RetainPersistentVolumeClaimRetentionPolicyType))
		err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "doorward-shop"}, &appsv1.Deployment{})
		g.Expect(client.IgnoreNotFound(err)).To(gomega.Succeed())
		g.Expect(err).To(gomega.HaveOccurred())
	})
	// A pod that is neither proxy nor target shares the namespace.
	create(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "stranger"}, Spec: strangerSpec()})
	eventually(t, func(g gomega.Gomega) {
		live := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(live, v1alpha1.ConditionIsolated)).To(gomega.Equal("False SharedNamespace"))
		g.Expect(message(live, v1alpha1.ConditionIsolated)).To(gomega.ContainSubstring("stranger"))
	})
}

func strangerSpec() corev1.PodSpec {
	yes, no := true, false
	return corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{Name: "c", Image: "x", SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}}},
	}
}

// TestRetention deletes sessions that are over for longer than their Connection
// keeps them, and leaves others.
func TestRetention(t *testing.T) {
	const ns = "sessions"
	c := external(ns, "shop")
	c.Spec.Audit = &v1alpha1.AuditSettings{SessionRetentionSeconds: 60}
	create(t, c)
	awaitSnapshot(t, ns, "shop", 1, 0)
	var proxy client.Client
	eventually(t, func(g gomega.Gomega) {
		config, err := env.ServiceAccountConfig(t.Context(), ns, "doorward-shop")
		g.Expect(err).NotTo(gomega.HaveOccurred())
		proxy = clientOf(t, config)
		g.Expect(proxy.Create(t.Context(), session(ns, "old"))).To(gomega.Succeed())
		g.Expect(proxy.Create(t.Context(), session(ns, "active"))).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		old := get(g, ns, "old", &v1alpha1.AuditSession{})
		before := old.DeepCopy()
		ended := metav1.NewTime(time.Now().Add(-time.Hour))
		old.Status = v1alpha1.AuditSessionStatus{Phase: v1alpha1.SessionEnded, EndedAt: &ended, EndReason: "left"}
		g.Expect(proxy.Status().Patch(t.Context(), old, client.MergeFrom(before))).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "old"}, &v1alpha1.AuditSession{})
		g.Expect(err).To(gomega.HaveOccurred())
		g.Expect(client.IgnoreNotFound(err)).To(gomega.Succeed())
		get(g, ns, "active", &v1alpha1.AuditSession{})
	})
}

func session(ns, name string) *v1alpha1.AuditSession {
	return &v1alpha1.AuditSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.AuditSessionSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: "shop"},
			Actor: v1alpha1.Actor{
				Issuer: "https://issuer.example", Subject: "1", Username: "alice", Kind: v1alpha1.ActorHuman,
				IdentityProvider: "company", AuthenticationMethod: "oidc",
			},
			ClientAddress: "192.0.2.1:5000", ProxyInstance: "shop-1", StartedAt: metav1.Now(),
		},
	}
}
