// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
)

func parsePolicy(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOpens is checklist 52: policies add up, so that one which lets others reach a
// port of the target undoes ours.
func TestOpens(t *testing.T) {
	c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	own := peers{[]map[string]string{proxyLabels(c)}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}
	pods := []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "db-0", Labels: map[string]string{"app": "db", "role": "primary"}}}}
	names := map[string][]int32{"pg": {5432}, "metrics": {9187}}
	number := numbersOf([]intstr.IntOrString{intstr.FromInt32(5432)}, names)
	named := numbersOf([]intstr.IntOrString{intstr.FromString("pg")}, names)
	unknown := numbersOf([]intstr.IntOrString{intstr.FromString("sql")}, names)
	for name, tc := range map[string]struct {
		reason string
		spec   string
		ports  targetNumbers
		want   bool
	}{
		"Everybody":       {"an empty rule", `{podSelector: {}, ingress: [{}]}`, number, true},
		"Nobody":          {"a policy that only closes", `{podSelector: {}, policyTypes: [Ingress]}`, number, false},
		"Egress":          {"not about who gets in", `{podSelector: {}, policyTypes: [Egress], egress: [{}]}`, number, false},
		"OtherPods":       {"they are not the target", `{podSelector: {matchLabels: {app: web}}, ingress: [{}]}`, number, false},
		"PartOfTheTarget": {"one pod is enough", `{podSelector: {matchLabels: {role: primary}}, ingress: [{}]}`, number, true},
		"OtherPort":       {"metrics are not the target's protocol", `{podSelector: {}, ingress: [{ports: [{port: 9187}]}]}`, number, false},
		"SamePort":        {"from one pod", `{podSelector: {}, ingress: [{ports: [{port: 5432}], from: [{podSelector: {matchLabels: {app: backup}}}]}]}`, number, true},
		"Range":           {"the port is in it", `{podSelector: {}, ingress: [{ports: [{port: 5000, endPort: 6000}]}]}`, number, true},
		"RangeBeside":     {"the port is not in it", `{podSelector: {}, ingress: [{ports: [{port: 5433, endPort: 6000}]}]}`, number, false},
		"UDP":             {"another protocol", `{podSelector: {}, ingress: [{ports: [{port: 5432, protocol: UDP}]}]}`, number, false},
		"AnyTCP":          {"no port is every port", `{podSelector: {}, ingress: [{ports: [{protocol: TCP}]}]}`, number, true},
		"Name":            {"the pods call the number so", `{podSelector: {}, ingress: [{ports: [{port: pg}]}]}`, number, true},
		"SameName":        {"", `{podSelector: {}, ingress: [{ports: [{port: pg}]}]}`, named, true},
		"NoName":          {"no pod has such a port", `{podSelector: {}, ingress: [{ports: [{port: sql}]}]}`, number, false},
		"NameOfAnother":   {"it stands for another number", `{podSelector: {}, ingress: [{ports: [{port: metrics}]}]}`, number, false},
		"NumberOfNamed":   {"the number that the name stands for", `{podSelector: {}, ingress: [{ports: [{port: 5432}]}]}`, named, true},
		"OtherOfNamed":    {"another number", `{podSelector: {}, ingress: [{ports: [{port: 9187}]}]}`, named, false},
		"UnknownName":     {"what cannot be told counts", `{podSelector: {}, ingress: [{ports: [{port: 9187}]}]}`, unknown, true},
		"OtherName":       {"", `{podSelector: {}, ingress: [{ports: [{port: metrics}]}]}`, named, false},
		"Namespaces":      {"others than the proxies", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`, number, true},
		"Addresses":       {"others than the proxies", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}`, number, true},
		"Proxies":         {"those of the Connection", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy, doorward.dev/connection: shop}}}]}]}`, number, false},
		"FewerProxies":    {"some of those of the Connection", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy, doorward.dev/connection: shop, zone: a}}}]}]}`, number, false},
		"OtherProxies":    {"those of another Connection", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy, doorward.dev/connection: other}}}]}]}`, number, true},
		"AnyProxies":      {"whatever calls itself so", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy}}}]}]}`, number, true},
		"ProxiesAndMore":  {"one peer is enough", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy, doorward.dev/connection: shop}}}, {podSelector: {}}]}]}`, number, true},
		"ProxiesAnywhere": {"in other namespaces anybody can be called so", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy, doorward.dev/connection: shop}}}]}]}`, number, true},
		"Peers":           {"the target's own pods", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}`, number, false},
		"BadSelector":     {"what cannot be told counts", `{podSelector: {matchExpressions: [{key: a, operator: Near}]}, ingress: [{}]}`, number, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := opens(parsePolicy(t, tc.spec), own, pods, tc.ports); got != tc.want {
				t.Errorf("opens = %t, want %t: %s", got, tc.want, tc.reason)
			}
		})
	}
}

// TestTargetPolicy: the proxies on the target's ports, the target's pods among
// themselves where asked for, and nobody else.
func TestTargetPolicy(t *testing.T) {
	c := &v1alpha1.Connection{}
	c.Name = "shop"
	c.Spec.Isolation = &v1alpha1.Isolation{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}
	want := `{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{
		from: [{podSelector: {matchLabels: {app.kubernetes.io/name: doorward, app.kubernetes.io/component: proxy, doorward.dev/connection: shop}}}],
		ports: [{port: 5432, protocol: TCP}, {port: pg, protocol: TCP}]}`
	ports := []intstr.IntOrString{intstr.FromInt32(5432), intstr.FromString("pg")}
	if diff := cmp.Diff(parsePolicy(t, want+"]}").Spec, targetPolicy(c, ports).Spec); diff != "" {
		t.Errorf("without peers (-want +got):\n%s", diff)
	}
	c.Spec.Isolation.Peers = v1alpha1.IsolationPeersAllow
	if diff := cmp.Diff(parsePolicy(t, want+", {from: [{podSelector: {matchLabels: {app: db}}}]}]}").Spec, targetPolicy(c, ports).Spec); diff != "" {
		t.Errorf("with peers (-want +got):\n%s", diff)
	}
}

// TestPodPort: a NetworkPolicy is about the ports of pods, spec.targets may be about
// those of a Service.
func TestPodPort(t *testing.T) {
	for host, want := range map[string]string{
		"db": "db", "db.shop": "db", "db.shop.svc": "db", "db.shop.svc.cluster.local": "db", "DB.shop.svc.example.org.": "db",
		"db-0.db.shop.svc.cluster.local": "db", "db.other.svc": "", "db.other": "", "db.example.com": "", "192.0.2.1": "", "2001:db8::1": "", "svc.shop": "svc",
	} {
		if got := serviceOf(host, "shop"); got != want {
			t.Errorf("serviceOf(%q) = %q, want %q", host, got, want)
		}
	}
	service := func(ip string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
	}
	for name, tc := range map[string]struct {
		service *corev1.Service
		want    intstr.IntOrString
	}{
		"None":     {nil, intstr.FromInt32(5432)},
		"Mapped":   {service("10.0.0.1", corev1.ServicePort{Port: 5432, TargetPort: intstr.FromInt32(6432)}), intstr.FromInt32(6432)},
		"Named":    {service("10.0.0.1", corev1.ServicePort{Port: 80}, corev1.ServicePort{Port: 5432, TargetPort: intstr.FromString("pg")}), intstr.FromString("pg")},
		"Unset":    {service("10.0.0.1", corev1.ServicePort{Port: 5432}), intstr.FromInt32(5432)},
		"UDP":      {service("10.0.0.1", corev1.ServicePort{Port: 5432, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(1)}), intstr.FromInt32(5432)},
		"Headless": {service(corev1.ClusterIPNone, corev1.ServicePort{Port: 5432, TargetPort: intstr.FromInt32(6432)}), intstr.FromInt32(5432)},
	} {
		if got := podPort(tc.service, 5432); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestFullAddress is checklist 25: a short name leads the manager to what it leads the
// proxies to, and to nothing in the manager's own namespace.
func TestFullAddress(t *testing.T) {
	for host, want := range map[string]string{
		"db": "db.shop:5432", "db.shop": "db.shop:5432", "db.shop.svc": "db.shop.svc:5432", "db.example.": "db.example.:5432",
		"192.0.2.1": "192.0.2.1:5432", "::1": "[::1]:5432", "localhost": "localhost.shop:5432",
	} {
		if got := fullAddress(v1alpha1.Target{Host: host, Port: 5432}, "shop"); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
