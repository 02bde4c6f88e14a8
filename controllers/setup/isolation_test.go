// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

// TestIsolation is checklist 52: what lets others reach the target is found as it
// comes, and said.
func TestIsolation(t *testing.T) {
	const ns = "isolation"
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	number := int32(listener.Addr().(*net.TCPAddr).Port)

	c := managedConnection("shop")
	c.Namespace = ns
	c.Spec.Audit = &v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote}
	c.Spec.Targets = []v1alpha1.Target{{Host: "127.0.0.1", Port: number}}
	c.Spec.Isolation = &v1alpha1.Isolation{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}
	create(t, c)
	create(t, targetPod(ns, "db-0", false))
	become := func(want string, texts ...string) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			live := get(g, ns, "shop", &v1alpha1.Connection{})
			g.Expect(reason(live, v1alpha1.ConditionIsolated)).To(gomega.Equal(want), message(live, v1alpha1.ConditionIsolated))
			for _, text := range texts {
				g.Expect(message(live, v1alpha1.ConditionIsolated)).To(gomega.ContainSubstring(text))
			}
		})
	}
	change := func(change func(*v1alpha1.Connection)) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			live := get(g, ns, "shop", &v1alpha1.Connection{})
			change(live)
			g.Expect(admin.Update(t.Context(), live)).To(gomega.Succeed())
		})
	}

	// The policy is written and nobody enforces it: this control plane has no network.
	become("False DirectWayOpen", `the manager in namespace "doorward-system"`, listener.Addr().String(), "does not enforce")
	eventually(t, func(g gomega.Gomega) {
		var events eventsv1.EventList
		g.Expect(admin.List(t.Context(), &events, client.InNamespace(ns))).To(gomega.Succeed())
		var reasons []string
		for _, e := range events.Items {
			reasons = append(reasons, e.Reason)
		}
		g.Expect(reasons).To(gomega.ContainElement("DirectWayOpen"))
	})
	eventually(t, func(g gomega.Gomega) {
		proxies := get(g, ns, "doorward-shop.proxies", &networkingv1.NetworkPolicy{})
		g.Expect(proxies.Spec.PodSelector.MatchLabels).To(gomega.HaveKeyWithValue("doorward.dev/connection", "shop"))
		g.Expect(proxies.Spec.PolicyTypes).To(gomega.Equal([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress}))
		g.Expect(proxies.Spec.Ingress).To(gomega.HaveLen(1))
		g.Expect(proxies.Spec.Ingress[0].From).To(gomega.BeEmpty())
		var ports []int32
		for _, p := range proxies.Spec.Ingress[0].Ports {
			ports = append(ports, p.Port.IntVal)
		}
		g.Expect(ports).To(gomega.ContainElements(int32(5432), int32(8081)))
	})

	// It is closed, and so would it be where the manager could not get out: the
	// proxies cannot be reached here either.
	_ = listener.Close()
	change(func(c *v1alpha1.Connection) {
		c.Spec.Targets = append(c.Spec.Targets, v1alpha1.Target{Host: "127.0.0.1", Port: 1})
	})
	become("Unknown EnforcementUnknown", "neither could the proxies")

	// Policies add up.
	create(t, &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "doorward-allow-all"},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}}},
	})
	become("False OtherPolicies", "doorward-allow-all")
	eventually(t, func(g gomega.Gomega) {
		p := get(g, ns, "doorward-allow-all", &networkingv1.NetworkPolicy{})
		other := intstr.FromInt32(9187)
		p.Spec.Ingress[0].Ports = []networkingv1.NetworkPolicyPort{{Port: &other}}
		g.Expect(admin.Update(t.Context(), p)).To(gomega.Succeed())
	})
	become("Unknown EnforcementUnknown")

	// A policy is about the ports of pods.
	create(t, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "db"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "db"}, Ports: []corev1.ServicePort{{Port: 5432, TargetPort: intstr.FromString("pg")}},
	}})
	change(func(c *v1alpha1.Connection) {
		c.Spec.Targets = []v1alpha1.Target{{Host: "db.isolation.svc.cluster.local", Port: 5432}, {Host: "192.0.2.1", Port: 5433}}
		c.Spec.Isolation.Peers, c.Spec.Isolation.Probe = v1alpha1.IsolationPeersAllow, v1alpha1.IsolationProbeDisabled
	})
	eventually(t, func(g gomega.Gomega) {
		rules := get(g, ns, "doorward-shop", &networkingv1.NetworkPolicy{}).Spec.Ingress
		g.Expect(rules).To(gomega.HaveLen(2))
		g.Expect(rules[0].Ports).To(gomega.HaveLen(2))
		g.Expect(rules[0].Ports[0].Port.String()).To(gomega.Equal("pg"))
		g.Expect(rules[0].Ports[1].Port.String()).To(gomega.Equal("5433"))
		g.Expect(rules[1].From[0].PodSelector.MatchLabels).To(gomega.Equal(map[string]string{"app": "db"}))
	})
	become("Unknown NotProbed", "Disabled")

	create(t, targetPod(ns, "db-1", true))
	become("False HostNetwork", "db-1")

	// A proxy found somebody who uses the credential without it.
	now := time.Now().UTC()
	text, err := json.Marshal(report.Report{Instance: "shop-0", Revision: 1, ObservedAt: now, Nonce: "1", Target: &report.Target{
		Watched: true,
		Foreign: []report.ForeignLogin{{Target: "db:5432", Login: "7/x", OwnRole: true, Address: "192.0.2.66:4022", FoundAt: now, SeenAt: now}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(g gomega.Gomega) {
		reports := get(g, ns, report.ConfigMapName("shop"), &corev1.ConfigMap{})
		reports.Data = map[string]string{"shop-0": string(text)}
		g.Expect(admin.Update(t.Context(), reports)).To(gomega.Succeed())
	})
	become("False ForeignLogins", "192.0.2.66:4022", "change the password")
	// It is gone, and what it found is not, until the password was changed.
	eventually(t, func(g gomega.Gomega) {
		reports := get(g, ns, report.ConfigMapName("shop"), &corev1.ConfigMap{})
		reports.Data = nil
		g.Expect(admin.Update(t.Context(), reports)).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		g.Expect(get(g, ns, "shop", &v1alpha1.Connection{}).Status.Proxies).To(gomega.BeEmpty())
	})
	become("False ForeignLogins", "192.0.2.66:4022")
	change(func(c *v1alpha1.Connection) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationCredentialChangedAt, time.Now().UTC().Add(time.Hour).Format(time.RFC3339))
	})
	become("False ForeignLogins", "in the future")
	eventually(t, func(g gomega.Gomega) { // a time that is past and not of the second in which it was seen
		change(func(c *v1alpha1.Connection) {
			metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationCredentialChangedAt, time.Now().UTC().Format(time.RFC3339))
		})
		live := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(live, v1alpha1.ConditionIsolated)).To(gomega.Equal("False HostNetwork"))
		g.Expect(live.Status.ForeignLogins).To(gomega.BeEmpty())
	})

	// Without isolation the target's network is left as it is, that of the proxies is not.
	change(func(c *v1alpha1.Connection) { c.Spec.Isolation = nil })
	eventually(t, func(g gomega.Gomega) {
		err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "doorward-shop"}, &networkingv1.NetworkPolicy{})
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue())
		get(g, ns, "doorward-shop.proxies", &networkingv1.NetworkPolicy{})
	})
}

// targetPod is a pod of the target, which no node runs here.
func targetPod(namespace, name string, hostNetwork bool) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "db"}}, Spec: strangerSpec()}
	pod.Spec.HostNetwork = hostNetwork
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "pg", ContainerPort: 5432}}
	if hostNetwork {
		pod.Spec.Containers[0].Ports[0].HostPort = 5432
	}
	return pod
}
