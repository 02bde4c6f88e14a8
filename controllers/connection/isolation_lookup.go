// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// versions is one word for what metadata says of objects, also of none.
func versions(objects []metav1.PartialObjectMetadata, of func(*metav1.PartialObjectMetadata) string) string {
	words := make([]string, 0, len(objects))
	for i := range objects {
		words = append(words, string(objects[i].UID)+"/"+of(&objects[i]))
	}
	slices.Sort(words)
	return "all: " + strings.Join(words, ",")
}

// policies are all NetworkPolicies of the Connection's namespace.
func (r *Reconciler) policies(ctx context.Context, c *v1alpha1.Connection) ([]networkingv1.NetworkPolicy, error) {
	known := &metav1.PartialObjectMetadataList{}
	known.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicyList"))
	if err := r.Metadata.List(ctx, known, client.InNamespace(c.Namespace)); err != nil {
		return nil, fmt.Errorf("cannot list NetworkPolicies: %w", err)
	}
	version := versions(known.Items, func(o *metav1.PartialObjectMetadata) string { return o.ResourceVersion })
	return kit.Remembered(r.lookups, client.ObjectKeyFromObject(c), "policies", version, func() ([]networkingv1.NetworkPolicy, error) {
		var live networkingv1.NetworkPolicyList
		if err := r.Live.List(ctx, &live, client.InNamespace(c.Namespace)); err != nil {
			return nil, fmt.Errorf("cannot list NetworkPolicies: %w", err)
		}
		return live.Items, nil
	})
}

// podFacts are what pods are for their whole lives.
type podFacts struct {
	// hostNetwork are those on their node's network.
	hostNetwork []string
	// ports are the numbers of the TCP ports that they give names to.
	ports map[string][]int32
}

// podFacts reads the target's pods.
func (r *Reconciler) podFacts(ctx context.Context, c *v1alpha1.Connection, pods []metav1.PartialObjectMetadata) (podFacts, error) {
	version := versions(pods, func(*metav1.PartialObjectMetadata) string { return "" })
	return kit.Remembered(r.lookups, client.ObjectKeyFromObject(c), "pods", version, func() (podFacts, error) {
		facts := podFacts{ports: map[string][]int32{}}
		selector, err := targetSelector(c.Spec.Isolation)
		if err != nil {
			return facts, err
		}
		var live corev1.PodList
		if err := r.Live.List(ctx, &live, client.InNamespace(c.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return facts, fmt.Errorf("cannot list the target's pods: %w", err)
		}
		for i := range live.Items {
			spec := &live.Items[i].Spec
			if spec.HostNetwork {
				facts.hostNetwork = append(facts.hostNetwork, live.Items[i].Name)
			}
			for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
				for _, p := range container.Ports {
					if p.Name != "" && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) {
						facts.ports[p.Name] = append(facts.ports[p.Name], p.ContainerPort)
					}
				}
			}
		}
		slices.Sort(facts.hostNetwork)
		return facts, nil
	})
}

// targetPorts are the ports of the target's pods that spec.targets leads to.
func (r *Reconciler) targetPorts(ctx context.Context, c *v1alpha1.Connection) ([]intstr.IntOrString, error) {
	var ports []intstr.IntOrString
	for _, target := range c.Spec.Targets {
		service, err := r.service(ctx, c, serviceOf(target.Host, c.Namespace))
		if err != nil {
			return nil, err
		}
		if p := podPort(service, target.Port); !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports, nil
}

// service reads a Service of the Connection's namespace; nil where there is none.
func (r *Reconciler) service(ctx context.Context, c *v1alpha1.Connection, name string) (*corev1.Service, error) {
	if name == "" {
		return nil, nil
	}
	known, err := r.applier.Metadata(ctx, serviceKind, c.Namespace, name)
	if err != nil || known == nil {
		return nil, err
	}
	return kit.Remembered(r.lookups, client.ObjectKeyFromObject(c), "service/"+name, kit.Version(known), func() (*corev1.Service, error) {
		// Listing is what the manager's rights on Services have.
		var live corev1.ServiceList
		if err := r.Live.List(ctx, &live, client.InNamespace(c.Namespace), client.MatchingFields{"metadata.name": name}); err != nil {
			return nil, fmt.Errorf("cannot read Service %q: %w", name, err)
		}
		if len(live.Items) == 0 {
			return nil, nil
		}
		return &live.Items[0], nil
	})
}
