// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// maxShared bounds how many foreign pods a condition names.
const maxShared = 3

// isolate lets only the proxies reach the target's pods, and looks for pods that
// have no place beside a credential.
func (r *Reconciler) isolate(ctx context.Context, s *scope) error {
	c := s.connection
	if c.Spec.Isolation == nil || !managed(c) {
		return r.applier.Remove(ctx, networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), c, ObjectName(c.Name))
	}
	policy := networkPolicy(c)
	kit.Owned(policy, c, "Connection", v1alpha1.GroupVersion.String())
	if err := r.applier.Apply(ctx, policy); err != nil {
		return err
	}
	target, err := metav1.LabelSelectorAsSelector(c.Spec.Isolation.PodSelector)
	if err != nil {
		return &kit.Stalled{Reason: v1alpha1.ReasonInvalid, Err: err}
	}
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := r.Metadata.List(ctx, pods, client.InNamespace(c.Namespace)); err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Labels[kit.LabelManagedBy] != "doorward" && !target.Matches(labels.Set(pod.Labels)) {
			s.shared = append(s.shared, pod.Name)
		}
	}
	slices.Sort(s.shared)
	if len(s.shared) > maxShared {
		s.shared = append(s.shared[:maxShared], "and others")
	}
	return nil
}

func networkPolicy(c *v1alpha1.Connection) *networkingv1.NetworkPolicy {
	tcp := corev1.ProtocolTCP
	var ports []networkingv1.NetworkPolicyPort
	for _, target := range c.Spec.Targets {
		number := intstr.FromInt32(target.Port)
		if !slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return *p.Port == number }) {
			ports = append(ports, networkingv1.NetworkPolicyPort{Protocol: &tcp, Port: &number})
		}
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(c.Name)},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *c.Spec.Isolation.PodSelector,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: proxyLabels(c)}}},
				Ports: ports,
			}},
		},
	}
}
