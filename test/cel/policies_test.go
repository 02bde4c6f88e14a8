// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"errors"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/config/admission"
)

// What the API server holds after an apply is what the manager has compiled in.
func TestLivePoliciesAreCompiledIn(t *testing.T) {
	compiled, err := admission.Objects("")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range compiled {
		live, ok := want.DeepCopyObject().(client.Object)
		if !ok {
			t.Fatalf("%T is not an object", want)
		}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(want), live); err != nil {
			t.Errorf("every compiled-in object is applied: %v", err)
			continue
		}
		if err := admission.Verify(live, want); err != nil {
			t.Error(err)
		}
	}
}

// The API server's own type checker finds nothing to warn of.
func TestPoliciesTypeCheck(t *testing.T) {
	compiled, err := admission.Objects("")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range compiled {
		policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy)
		if !ok {
			continue
		}
		key := client.ObjectKeyFromObject(policy)
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
			err := admin.Get(ctx, key, policy)
			return policy.Status.TypeChecking != nil && policy.Status.ObservedGeneration == policy.Generation, err
		})
		if err != nil {
			t.Errorf("%s was not checked: %v", key.Name, err)
			continue
		}
		for _, warning := range policy.Status.TypeChecking.ExpressionWarnings {
			t.Errorf("%s: %s: %s", key.Name, warning.FieldRef, warning.Warning)
		}
	}
}

// Each way to weaken a policy is seen.
func TestChangedPoliciesAreFound(t *testing.T) {
	get := func(object client.Object) client.Object {
		if err := admin.Get(t.Context(), client.ObjectKey{Name: "doorward-approvalrequest-update"}, object); err != nil {
			t.Fatal(err)
		}
		return object
	}
	cases := map[string]struct {
		reason string
		change func(*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding)
		want   bool
	}{
		"Nothing": {reason: "the live objects are the compiled-in ones", change: func(*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
		}},
		"Ignore": {reason: "failures are ignored", want: true, change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy, _ *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
			ignore := admissionregistrationv1.Ignore
			p.Spec.FailurePolicy = &ignore
		}},
		"Variable": {reason: "another manager", want: true, change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy, _ *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
			p.Spec.Variables[0].Expression = "'company:mallory'"
		}},
		"Rule": {reason: "a rule is gone", want: true, change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy, _ *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
			p.Spec.Validations = p.Spec.Validations[1:]
		}},
		"Condition": {reason: "some requests are let through", want: true, change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy, _ *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
			p.Spec.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "not-me", Expression: "request.userInfo.username != 'company:mallory'"}}
		}},
		"Warn": {reason: "the binding only warns", want: true, change: func(_ *admissionregistrationv1.ValidatingAdmissionPolicy, b *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Warn}
		}},
		"Selector": {reason: "the binding leaves namespaces out", want: true, change: func(_ *admissionregistrationv1.ValidatingAdmissionPolicy, b *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.MatchResources = &admissionregistrationv1.MatchResources{ExcludeResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{}}}
		}},
	}
	compiled, err := admission.Objects("")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy, binding := &admissionregistrationv1.ValidatingAdmissionPolicy{}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
			get(policy)
			get(binding)
			tc.change(policy, binding)
			var differences error
			for _, want := range compiled {
				if want.GetName() != policy.GetName() {
					continue
				}
				var live client.Object = policy
				if _, ok := want.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding); ok {
					live = binding
				}
				differences = errors.Join(differences, admission.Verify(live, want))
			}
			if got := errors.Is(differences, admission.ErrDiffers); got != tc.want {
				t.Errorf("%s: want difference %v, got: %v", tc.reason, tc.want, differences)
			}
		})
	}
}
