// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// noUpdates refuses updates in the namespaces that are selected. It is deleted when the
// test ends: it would bind all namespaces of the suite.
func noUpdates(t *testing.T, name string, namespaces ...v1alpha1.NamespaceSelector) *v1alpha1.ClusterAccessPolicy {
	t.Helper()
	p := &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ClusterAccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{},
			Subjects:    []v1alpha1.Subject{{Kind: v1alpha1.SubjectEveryone, IdentityProvider: "*"}},
			Namespaces:  namespaces,
			Connections: []v1alpha1.ConnectionSelector{{Name: "*"}},
			Rules:       []v1alpha1.Rule{{Name: "no-updates", Effect: v1alpha1.EffectDeny, Actions: []string{"update"}}},
			Masks:       []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
	create(t, p)
	t.Cleanup(func() { _ = admin.Delete(t.Context(), p) })
	return p
}

// edit changes an object that others write, too.
func edit[T client.Object](t *testing.T, object T, change func(T)) {
	t.Helper()
	eventually(t, func(g gomega.Gomega) {
		live := get(g, object.GetNamespace(), object.GetName(), object)
		change(live)
		g.Expect(admin.Update(t.Context(), live)).To(gomega.Succeed())
	})
}

// published is the policies of a Connection's snapshot.
func published(g gomega.Gomega, ns, name string) []policy.Policy {
	s, err := snapshot.Open(get(g, ns, "doorward-"+name+"-snapshot", &corev1.Secret{}).Data, publicKey(g))
	g.Expect(err).NotTo(gomega.HaveOccurred())
	return s.Policies.Policies
}

// TestClusterAccessPolicy: what no namespace may undo reaches the snapshots of the
// namespaces it selects, as soon as it, or their labels, say so, and leaves them again.
func TestClusterAccessPolicy(t *testing.T) {
	const ns = "caps"
	create(t, external(ns, "shop"))
	create(t, allow(ns, "analysts", "shop"))
	awaitSnapshot(t, ns, "shop", 1, 1)
	labelled := noUpdates(t, "production", v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"env": "production"}})
	eventually(t, func(g gomega.Gomega) {
		p := get(g, "", labelled.Name, &v1alpha1.ClusterAccessPolicy{})
		g.Expect(reason(p, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		g.Expect(p.Status.Connections).To(gomega.BeZero())
	})
	g := gomega.NewWithT(t)
	g.Expect(published(g, ns, "shop")).To(gomega.HaveLen(1), "the namespace has no such label")

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	edit(t, namespace, func(n *corev1.Namespace) { n.Labels["env"] = "production" })
	awaitSnapshot(t, ns, "shop", 2, 2)
	eventually(t, func(g gomega.Gomega) {
		p := get(g, "", labelled.Name, &v1alpha1.ClusterAccessPolicy{})
		g.Expect(reason(p, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		g.Expect(p.Status.Connections).To(gomega.BeEquivalentTo(1))
		g.Expect(p.Status.ObservedGeneration).To(gomega.Equal(p.Generation))
	})

	edit(t, labelled, func(p *v1alpha1.ClusterAccessPolicy) { p.Spec.Rules[0].Actions = []string{"select", "update"} })
	eventually(t, func(g gomega.Gomega) {
		all := published(g, ns, "shop")
		g.Expect(all).To(gomega.HaveLen(2))
		g.Expect(all[1].Cluster).To(gomega.BeTrue())
		g.Expect(all[1].Generation).To(gomega.BeEquivalentTo(2))
		g.Expect(all[1].Rules[0].Actions).To(gomega.Equal([]string{"select", "update"}))
	})

	// checklist 40: a typo closes what the policy selects, and says where it is.
	edit(t, labelled, func(p *v1alpha1.ClusterAccessPolicy) { p.Spec.Rules[0].Actions = []string{"updaet"} })
	eventually(t, func(g gomega.Gomega) {
		p := get(g, "", labelled.Name, &v1alpha1.ClusterAccessPolicy{})
		g.Expect(reason(p, v1alpha1.ConditionAccepted)).To(gomega.Equal("False UnknownPattern"))
		g.Expect(message(p, v1alpha1.ConditionAccepted)).To(gomega.And(gomega.ContainSubstring(`did you mean "update"`), gomega.ContainSubstring("caps/shop")))
		g.Expect(message(get(g, ns, "shop", &v1alpha1.Connection{}), v1alpha1.ConditionAccepted)).To(gomega.ContainSubstring("ClusterAccessPolicy production"))
		g.Expect(effects(g, ns, "shop")).To(gomega.Equal([]string{"Deny"}))
	})

	edit(t, namespace, func(n *corev1.Namespace) { delete(n.Labels, "env") })
	eventually(t, func(g gomega.Gomega) {
		g.Expect(effects(g, ns, "shop")).To(gomega.Equal([]string{"Allow"}))
		g.Expect(reason(get(g, ns, "shop", &v1alpha1.Connection{}), v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
	})
	byName := noUpdates(t, "named", v1alpha1.NamespaceSelector{Name: ns})
	awaitSnapshot(t, ns, "shop", 3, 2)
	if err := admin.Delete(t.Context(), byName); err != nil {
		t.Fatal(err)
	}
	awaitSnapshot(t, ns, "shop", 4, 1)
}

// TestSelectedByLabels: a policy comes with a Connection's labels, and goes with them.
func TestSelectedByLabels(t *testing.T) {
	const ns = "selected"
	c := external(ns, "shop")
	create(t, c)
	p := allow(ns, "gold", "")
	p.Spec.Connections = []v1alpha1.ConnectionSelector{{MatchLabels: map[string]string{"tier": "gold"}}}
	create(t, p)
	awaitSnapshot(t, ns, "shop", 1, 0)
	edit(t, c, func(c *v1alpha1.Connection) { c.Labels = map[string]string{"tier": "gold"} })
	awaitSnapshot(t, ns, "shop", 2, 1)
	eventually(t, func(g gomega.Gomega) {
		live := get(g, ns, "gold", &v1alpha1.AccessPolicy{})
		g.Expect(reason(live, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		g.Expect(live.Status.Connections).To(gomega.HaveLen(1))
	})
	edit(t, c, func(c *v1alpha1.Connection) { c.Labels = map[string]string{"tier": "silver"} })
	awaitSnapshot(t, ns, "shop", 3, 0)
	eventually(t, func(g gomega.Gomega) {
		live := get(g, ns, "gold", &v1alpha1.AccessPolicy{})
		g.Expect(reason(live, v1alpha1.ConditionAccepted)).To(gomega.Equal("False NoConnection"))
		g.Expect(live.Status.Connections).To(gomega.BeEmpty())
	})
}

// TestModules: a module in a ConfigMap reaches the snapshot when it changes; one that does
// not compile, and one that is gone, closes.
func TestModules(t *testing.T) {
	const ns = "modules"
	create(t, external(ns, "shop"))
	p := allow(ns, "hours", "shop")
	p.Spec.Rules = []v1alpha1.Rule{}
	p.Spec.Rego = &v1alpha1.Rego{Source: v1alpha1.RegoConfigMap, ConfigMap: &v1alpha1.ConfigMapKeyReference{Name: "modules", Key: "hours.rego"}}
	create(t, p)
	accepted := func(want, words string) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			live := get(g, ns, "hours", &v1alpha1.AccessPolicy{})
			g.Expect(reason(live, v1alpha1.ConditionAccepted)).To(gomega.Equal(want))
			g.Expect(message(live, v1alpha1.ConditionAccepted)).To(gomega.ContainSubstring(words))
		})
	}
	accepted("False ReferenceNotFound", `no ConfigMap "modules"`)
	module := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "modules"}, Data: map[string]string{"hours.rego": "package doorward.policy\n# one\n"}}
	create(t, module)
	text := func(want string) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			all := published(g, ns, "shop")
			g.Expect(all).To(gomega.HaveLen(1))
			g.Expect(all[0].Rego).To(gomega.Equal(want))
		})
	}
	text("package doorward.policy\n# one\n")
	accepted("True Accepted", "")
	edit(t, module, func(m *corev1.ConfigMap) { m.Data["hours.rego"] = "package doorward.policy\n# two\n" })
	text("package doorward.policy\n# two\n")
	edit(t, module, func(m *corev1.ConfigMap) { m.Data["hours.rego"] = "package other\n" })
	accepted("False InvalidRego", "spec.rego: 1:1: want package doorward.policy")
	eventually(t, func(g gomega.Gomega) { g.Expect(effects(g, ns, "shop")).To(gomega.Equal([]string{"Deny"})) })
	if err := admin.Delete(t.Context(), module); err != nil {
		t.Fatal(err)
	}
	accepted("False ReferenceNotFound", `no ConfigMap "modules"`)
}

// TestAuditCounts: what proxies report of policies in mode Audit is summed up in their
// status; what they report of others is not believed.
func TestAuditCounts(t *testing.T) {
	const ns = "audited"
	create(t, external(ns, "shop"))
	create(t, allow(ns, "analysts", "shop"))
	trial := allow(ns, "trial", "shop")
	trial.Spec.Mode = v1alpha1.PolicyModeAudit
	trial.Spec.Rules = []v1alpha1.Rule{{Name: "no", Effect: v1alpha1.EffectDeny, Actions: []string{"select"}}}
	create(t, trial)
	cluster := noUpdates(t, "trial", v1alpha1.NamespaceSelector{Name: ns})
	edit(t, cluster, func(p *v1alpha1.ClusterAccessPolicy) { p.Spec.Mode = v1alpha1.PolicyModeAudit })
	awaitSnapshot(t, ns, "shop", 1, 3)
	eventually(t, func(g gomega.Gomega) {
		g.Expect(get(g, ns, "trial", &v1alpha1.AccessPolicy{}).Status.Audit).To(gomega.Equal(&v1alpha1.PolicyAudit{Generation: 1}))
		g.Expect(get(g, ns, "analysts", &v1alpha1.AccessPolicy{}).Status.Audit).To(gomega.BeNil())
	})
	told := func(instance, nonce string, audits ...report.Audit) {
		t.Helper()
		text, err := report.Encode(report.Report{Instance: instance, ObservedAt: time.Now(), Nonce: nonce, Audits: audits})
		if err != nil {
			t.Fatal(err)
		}
		name := client.ObjectKey{Namespace: ns, Name: report.ConfigMapName("shop")}
		edit(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}, func(m *corev1.ConfigMap) {
			if m.Data == nil {
				m.Data = map[string]string{}
			}
			m.Data[instance] = text
		})
	}
	of := func(deny int64) report.Audit {
		return report.Audit{Policy: "trial", UID: string(trial.UID), Generation: 1, Deny: deny}
	}
	told("shop-0", "a", of(3), report.Audit{Cluster: true, Policy: "trial", UID: string(cluster.UID), Generation: 2, Mask: 1})
	told("shop-1", "b", of(4), report.Audit{Policy: "analysts", UID: "other", Generation: 1, Deny: 100})
	counts := func(want v1alpha1.PolicyAudit) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			g.Expect(get(g, ns, "trial", &v1alpha1.AccessPolicy{}).Status.Audit).To(gomega.Equal(&want))
		})
	}
	counts(v1alpha1.PolicyAudit{Generation: 1, WouldDeny: 7})
	eventually(t, func(g gomega.Gomega) {
		g.Expect(get(g, "", "trial", &v1alpha1.ClusterAccessPolicy{}).Status.Audit).To(gomega.Equal(&v1alpha1.PolicyAudit{Generation: 2, WouldMask: 1}))
	})
	told("shop-0", "restarted", of(1))
	counts(v1alpha1.PolicyAudit{Generation: 1, WouldDeny: 8})
	edit(t, trial, func(p *v1alpha1.AccessPolicy) { p.Spec.Mode = v1alpha1.PolicyEnforce })
	eventually(t, func(g gomega.Gomega) {
		g.Expect(get(g, ns, "trial", &v1alpha1.AccessPolicy{}).Status.Audit).To(gomega.BeNil())
	})
}
