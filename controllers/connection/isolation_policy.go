// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/doorward/doorward/api/v1alpha1"
)

// proxyPolicyName is the NetworkPolicy of a Connection's proxies. No Connection's
// name has a dot, so that it is no other's ObjectName.
func proxyPolicyName(connection string) string { return ObjectName(connection) + ".proxies" }

func address(t v1alpha1.Target) string {
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}

// targetPolicy lets the proxies reach the target's pods on the target's ports, the
// pods each other where asked for, and nobody else.
func targetPolicy(c *v1alpha1.Connection, ports []intstr.IntOrString) *networkingv1.NetworkPolicy {
	isolation := c.Spec.Isolation
	ingress := []networkingv1.NetworkPolicyIngressRule{{
		From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: proxyLabels(c)}}},
		Ports: tcp(ports),
	}}
	if isolation.Peers == v1alpha1.IsolationPeersAllow {
		ingress = append(ingress, networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: isolation.PodSelector.DeepCopy()}},
		})
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(c.Name)},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *isolation.PodSelector,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     ingress,
		},
	}
}

// proxyPolicy opens the proxies' pods on the ports of their containers.
func proxyPolicy(c *v1alpha1.Connection, template corev1.PodTemplateSpec) *networkingv1.NetworkPolicy {
	var ports []intstr.IntOrString
	for _, container := range template.Spec.Containers {
		for _, p := range container.Ports {
			ports = append(ports, intstr.FromInt32(p.ContainerPort))
		}
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: proxyPolicyName(c.Name)},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: proxyLabels(c)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{Ports: tcp(ports)}},
		},
	}
}

func tcp(ports []intstr.IntOrString) []networkingv1.NetworkPolicyPort {
	protocol := corev1.ProtocolTCP
	var all []networkingv1.NetworkPolicyPort
	for _, p := range ports {
		all = append(all, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &p})
	}
	return all
}

// serviceOf names the Service of a namespace that a host leads to; empty for none.
// A host may be short or long, and name a pod of a headless Service.
func serviceOf(host, namespace string) string {
	parts := strings.Split(strings.TrimSuffix(strings.ToLower(host), "."), ".")
	if net.ParseIP(host) != nil {
		return ""
	}
	if len(parts) == 1 {
		return parts[0]
	}
	if i := slices.Index(parts, "svc"); i >= 2 {
		parts = parts[:i]
	} else if len(parts) != 2 {
		return ""
	}
	if parts[len(parts)-1] != namespace {
		return ""
	}
	return parts[len(parts)-2]
}

// podPort is the port of the pods that a Service's port leads to: a policy is about
// that. A headless Service, and one without the port, lead to the very port.
func podPort(service *corev1.Service, number int32) intstr.IntOrString {
	if service == nil || service.Spec.ClusterIP == corev1.ClusterIPNone {
		return intstr.FromInt32(number)
	}
	for _, p := range service.Spec.Ports {
		if p.Port == number && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) && p.TargetPort != (intstr.IntOrString{}) {
			return p.TargetPort
		}
	}
	return intstr.FromInt32(number)
}
