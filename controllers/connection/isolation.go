// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/controllers/kit"
)

// maxShown bounds how many objects a condition names.
const maxShown = 3

// surroundings are what was found around a Managed Connection's target.
type surroundings struct {
	// shared are pods that are neither proxies nor the target's.
	shared []string
	// target is the number of the target's pods, hostNetwork are those on their
	// node's network.
	target      int
	hostNetwork []string
	// others are NetworkPolicies that let others reach the target's ports.
	others []string
}

// isolate lets only the proxies reach the target's pods, has the direct way tried,
// and looks for what opens it, and for pods that have no place beside a credential.
func (r *Reconciler) isolate(ctx context.Context, s *scope) error {
	c := s.connection
	if err := r.closeProxies(ctx, c); err != nil {
		return err
	}
	isolation := c.Spec.Isolation
	if isolation == nil || !managed(c) {
		r.forgetIsolation(key(s))
		return r.applier.Remove(ctx, networkPolicyKind, c, ObjectName(c.Name))
	}
	r.probe(c)
	selector, err := targetSelector(isolation)
	if err != nil {
		return &kit.Stalled{Reason: v1alpha1.ReasonInvalid, Err: err}
	}
	pods, err := r.pods(ctx, s, selector)
	if err != nil {
		return err
	}
	if isolation.PodSelector == nil {
		return r.applier.Remove(ctx, networkPolicyKind, c, ObjectName(c.Name))
	}
	ports, err := r.targetPorts(ctx, c)
	if err != nil {
		return err
	}
	policy := targetPolicy(c, ports)
	kit.Owned(policy, c, "Connection", v1alpha1.GroupVersion.String())
	if err := r.applier.Apply(ctx, policy); err != nil {
		return err
	}
	facts, err := r.podFacts(ctx, c, pods)
	if err != nil {
		return err
	}
	s.surroundings.hostNetwork = facts.hostNetwork
	policies, err := r.policies(ctx, c)
	if err != nil {
		return err
	}
	for i := range policies {
		p := &policies[i]
		if p.Name == policy.Name {
			continue
		}
		proxies := []map[string]string{proxyLabels(c)}
		if other, err := r.madeFor(ctx, p); err != nil {
			return err
		} else if other != nil {
			// Two Connections to one target each let their own proxies in.
			proxies = append(proxies, proxyLabels(other))
		}
		if opens(p, peers{proxies, isolation.PodSelector}, pods, numbersOf(ports, facts.ports)) {
			s.surroundings.others = append(s.surroundings.others, p.Name)
		}
	}
	slices.Sort(s.surroundings.others)
	return nil
}

// targetSelector selects the target's pods; nothing where it runs elsewhere.
func targetSelector(isolation *v1alpha1.Isolation) (labels.Selector, error) {
	// A nil selector selects nothing.
	return metav1.LabelSelectorAsSelector(isolation.PodSelector)
}

// closeProxies opens the proxies' pods on the ports that they serve on, and on no
// other. What they connect to is not restricted: sinks, issuers and the API server
// are anywhere.
func (r *Reconciler) closeProxies(ctx context.Context, c *v1alpha1.Connection) error {
	number := port(c, r.Protocols)
	if !managed(c) || number == 0 {
		return r.applier.Remove(ctx, networkPolicyKind, c, proxyPolicyName(c.Name))
	}
	policy := proxyPolicy(c, r.podTemplate(c, number))
	kit.Owned(policy, c, "Connection", v1alpha1.GroupVersion.String())
	return r.applier.Apply(ctx, policy)
}

// probe has the direct way tried, or not any more.
func (r *Reconciler) probe(c *v1alpha1.Connection) {
	if r.DirectWay == nil {
		return
	}
	name := types.NamespacedName{Namespace: c.Namespace, Name: c.Name}
	if c.Spec.Isolation.Probe == v1alpha1.IsolationProbeDisabled {
		r.DirectWay.Forget(name)
		return
	}
	target := directway.Target{UID: c.UID, Control: endpoint(c, r.Protocols)}
	for _, t := range c.Spec.Targets {
		target.Addresses = append(target.Addresses, fullAddress(t, c.Namespace))
	}
	r.DirectWay.Want(name, target)
}

// fullAddress is what a target's address is to somebody in another namespace than the
// proxies: a short name would be that of another Service there, or of none.
func fullAddress(t v1alpha1.Target, namespace string) string {
	if !strings.ContainsAny(t.Host, ".:") {
		t.Host += "." + namespace
	}
	return address(t)
}

// forgetIsolation forgets what was found around a Connection.
func (r *Reconciler) forgetIsolation(connection types.NamespacedName) {
	r.lookups.Forget(connection)
	if r.DirectWay != nil {
		r.DirectWay.Forget(connection)
	}
}

var networkPolicyKind = networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy")
