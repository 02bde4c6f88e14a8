// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Talk is a rule that lets a caller open sessions and run what touches no table.
func Talk() v1alpha1.Rule {
	return Allow("session", []string{"evaluate", "transaction", "session", "show", "set"}, "*")
}

// Allow is a rule that allows actions on resources.
func Allow(name string, actions []string, resources ...string) v1alpha1.Rule {
	return v1alpha1.Rule{Name: name, Effect: v1alpha1.EffectAllow, Actions: actions, Resources: resources}
}

// Users are subjects of the stack's issuer.
func Users(names ...string) []v1alpha1.Subject {
	all := make([]v1alpha1.Subject, len(names))
	for i, name := range names {
		all[i] = v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: name, IdentityProvider: "company"}
	}
	return all
}

// Policy is an AccessPolicy on the shop's Connection.
func Policy(name string, who []v1alpha1.Subject, rules ...v1alpha1.Rule) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: v1alpha1.AccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{},
			Subjects: who, Connections: []v1alpha1.ConnectionSelector{{Name: Connection}}, Rules: rules,
			Masks: []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}
