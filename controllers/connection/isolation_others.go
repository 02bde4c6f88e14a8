// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// peers are who may reach the target: pods with the labels of proxies, and its own.
type peers struct {
	proxies []map[string]string
	target  *metav1.LabelSelector
}

// opens says whether a policy lets others than these peers reach a port of the target on one of its pods. What cannot be told counts as
// open.
func opens(p *networkingv1.NetworkPolicy, own peers, pods []metav1.PartialObjectMetadata, ports targetNumbers) bool {
	if len(p.Spec.PolicyTypes) > 0 && !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
	if err != nil {
		return true
	}
	if !slices.ContainsFunc(pods, func(pod metav1.PartialObjectMetadata) bool { return selector.Matches(labels.Set(pod.Labels)) }) {
		return false
	}
	return slices.ContainsFunc(p.Spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
		return opensPort(rule.Ports, ports) && (len(rule.From) == 0 ||
			slices.ContainsFunc(rule.From, func(peer networkingv1.NetworkPolicyPeer) bool { return !own.has(peer) }))
	})
}

// has says whether all pods of a policy's peer are among these.
func (p peers) has(peer networkingv1.NetworkPolicyPeer) bool {
	if peer.IPBlock != nil || peer.NamespaceSelector != nil || peer.PodSelector == nil {
		return false
	}
	return reflect.DeepEqual(peer.PodSelector, p.target) || slices.ContainsFunc(p.proxies, func(proxies map[string]string) bool {
		for key, value := range proxies {
			if peer.PodSelector.MatchLabels[key] != value {
				return false
			}
		}
		return true
	})
}

// targetNumbers are the numbers of the target's ports.
type targetNumbers struct {
	numbers []int32
	// unknown says that a name among them is none that the target's pods have.
	unknown bool
	// named are the numbers that the target's pods give names to.
	named map[string][]int32
}

func numbersOf(ports []intstr.IntOrString, named map[string][]int32) targetNumbers {
	t := targetNumbers{named: named}
	for _, p := range ports {
		if p.Type == intstr.Int {
			t.numbers = append(t.numbers, p.IntVal)
			continue
		}
		t.unknown = t.unknown || len(named[p.StrVal]) == 0
		t.numbers = append(t.numbers, named[p.StrVal]...)
	}
	return t
}

// opensPort says whether a rule's ports have one of the target's among them.
func opensPort(opened []networkingv1.NetworkPolicyPort, ports targetNumbers) bool {
	if len(opened) == 0 || ports.unknown {
		return true
	}
	return slices.ContainsFunc(opened, func(o networkingv1.NetworkPolicyPort) bool {
		switch {
		case o.Protocol != nil && *o.Protocol != corev1.ProtocolTCP:
			return false
		case o.Port == nil:
			return true
		case o.Port.Type == intstr.String:
			return slices.ContainsFunc(ports.named[o.Port.StrVal], func(n int32) bool { return slices.Contains(ports.numbers, n) })
		}
		last := o.Port.IntVal
		if o.EndPort != nil {
			last = *o.EndPort
		}
		return slices.ContainsFunc(ports.numbers, func(n int32) bool { return o.Port.IntVal <= n && n <= last })
	})
}
