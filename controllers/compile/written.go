// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
)

// written is an AccessPolicy or a ClusterAccessPolicy, in what both have in common.
type written struct {
	metav1.ObjectMeta
	// cluster says that it is a ClusterAccessPolicy; namespaces are whose.
	cluster     bool
	namespaces  []v1alpha1.NamespaceSelector
	mode        v1alpha1.PolicyMode
	when        []v1alpha1.PolicyCondition
	subjects    []v1alpha1.Subject
	connections []v1alpha1.ConnectionSelector
	rules       []v1alpha1.Rule
	masks       []v1alpha1.Mask
	limits      []v1alpha1.Limit
	targetRole  string
	rego        *v1alpha1.Rego
}

func ofPolicy(p *v1alpha1.AccessPolicy) *written {
	return &written{
		ObjectMeta: p.ObjectMeta, mode: p.Spec.Mode, when: p.Spec.When, subjects: p.Spec.Subjects, connections: p.Spec.Connections,
		rules: p.Spec.Rules, masks: p.Spec.Masks, limits: p.Spec.Limits, targetRole: p.Spec.TargetRole, rego: p.Spec.Rego,
	}
}

func ofClusterPolicy(p *v1alpha1.ClusterAccessPolicy) *written {
	return &written{
		ObjectMeta: p.ObjectMeta, cluster: true, namespaces: p.Spec.Namespaces, mode: p.Spec.Mode, when: p.Spec.When, subjects: p.Spec.Subjects,
		connections: p.Spec.Connections, rules: p.Spec.Rules, masks: p.Spec.Masks, limits: p.Spec.Limits,
	}
}

func (p *written) kind() string {
	if p.cluster {
		return "ClusterAccessPolicy"
	}
	return "AccessPolicy"
}

// selects says whether the policy is about a Connection. Namespaces are those of the
// world, with their labels; one that is not there is selected by name only.
func (p *written) selects(c *v1alpha1.Connection, namespaces map[string]map[string]string) bool {
	if p.cluster {
		labels := namespaces[c.Namespace]
		if !slices.ContainsFunc(p.namespaces, func(s v1alpha1.NamespaceSelector) bool { return selected(s.Name, s.MatchLabels, c.Namespace, labels) }) {
			return false
		}
	} else if p.Namespace != c.Namespace {
		return false
	}
	return slices.ContainsFunc(p.connections, func(s v1alpha1.ConnectionSelector) bool { return selected(s.Name, s.MatchLabels, c.Name, c.Labels) })
}

// selected says whether a selector, which has a glob or labels, finds an object.
func selected(glob string, want map[string]string, name string, labels map[string]string) bool {
	if len(want) == 0 {
		return glob != "" && policy.Match(glob, name)
	}
	for key, value := range want {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// restricts says whether leaving the policy out would widen access.
func (p *written) restricts() bool {
	if p.mode == v1alpha1.PolicyModeAudit {
		return false
	}
	return p.cluster || p.rego != nil || len(p.masks) > 0 || len(p.limits) > 0 || p.targetRole != "" ||
		slices.ContainsFunc(p.rules, func(r v1alpha1.Rule) bool { return r.Effect != v1alpha1.EffectAllow })
}
