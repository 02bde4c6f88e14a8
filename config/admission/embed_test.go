// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/config/admission"
)

func TestObjects(t *testing.T) {
	objects, err := admission.Objects("")
	if err != nil {
		t.Fatal(err)
	}
	policies, bindings, actions := map[string]bool{}, map[string]string{}, map[string][]admissionregistrationv1.ValidationAction{}
	for _, object := range objects {
		switch o := object.(type) {
		case *admissionregistrationv1.ValidatingAdmissionPolicy:
			policies[o.Name] = true
			if *o.Spec.FailurePolicy != admissionregistrationv1.Fail || *o.Spec.MatchConstraints.MatchPolicy != admissionregistrationv1.Equivalent {
				t.Errorf("%s does not fail closed", o.Name)
			}
		case *admissionregistrationv1.MutatingAdmissionPolicy:
			policies[o.Name] = true
			if *o.Spec.FailurePolicy != admissionregistrationv1.Fail || *o.Spec.MatchConstraints.MatchPolicy != admissionregistrationv1.Equivalent {
				t.Errorf("%s does not fail closed", o.Name)
			}
		case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
			bindings[o.Name] = o.Spec.PolicyName
			actions[o.Name] = o.Spec.ValidationActions
		case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
			bindings[o.Name] = o.Spec.PolicyName
		}
	}
	if len(policies) != 12 {
		t.Errorf("want 12 policies, got %d", len(policies))
	}
	for name := range policies {
		if bindings[name] != name {
			t.Errorf("%s has no binding of its own", name)
		}
	}
	for name, got := range actions {
		if diff := cmp.Diff([]admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestObjectsOfAnotherManager(t *testing.T) {
	cases := map[string]struct {
		reason string
		user   string
		want   string
		err    bool
	}{
		"Default":   {reason: "an empty name means the default", user: "", want: "'" + admission.DefaultManagerUser + "'"},
		"Other":     {reason: "a manager elsewhere", user: "system:serviceaccount:other:manager", want: "'system:serviceaccount:other:manager'"},
		"Quote":     {reason: "no way out of the string", user: "x' || true || '", err: true},
		"Backslash": {reason: "no escapes", user: `x\`, err: true},
		"Newline":   {reason: "no control characters", user: "x\n", err: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects, err := admission.Objects(tc.user)
			if (err != nil) != tc.err {
				t.Fatalf("%s: want error %v, got: %v", tc.reason, tc.err, err)
			}
			for _, object := range objects {
				policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy)
				if !ok {
					continue
				}
				for _, variable := range policy.Spec.Variables {
					if variable.Name == "manager" && variable.Expression != tc.want {
						t.Errorf("%s: %s: want %s, got %s", tc.reason, policy.Name, tc.want, variable.Expression)
					}
				}
			}
		})
	}
}

func TestVerify(t *testing.T) {
	policy := func(change func(*admissionregistrationv1.ValidatingAdmissionPolicy)) *admissionregistrationv1.ValidatingAdmissionPolicy {
		p := &admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "a"},
			Spec:       admissionregistrationv1.ValidatingAdmissionPolicySpec{Validations: []admissionregistrationv1.Validation{{Expression: "false"}}},
		}
		change(p)
		return p
	}
	now := metav1.NewTime(time.Unix(0, 0))
	cases := map[string]struct {
		reason  string
		change  func(*admissionregistrationv1.ValidatingAdmissionPolicy)
		differs bool
	}{
		"Same":     {reason: "nothing changed", change: func(*admissionregistrationv1.ValidatingAdmissionPolicy) {}},
		"Label":    {reason: "labels enforce nothing", change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy) { p.Labels = map[string]string{"a": "b"} }},
		"Spec":     {reason: "a rule changed", change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy) { p.Spec.Validations[0].Expression = "true" }, differs: true},
		"Name":     {reason: "another policy", change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy) { p.Name = "b" }, differs: true},
		"Deletion": {reason: "it goes away", change: func(p *admissionregistrationv1.ValidatingAdmissionPolicy) { p.DeletionTimestamp = &now }, differs: true},
	}
	compiled := policy(func(*admissionregistrationv1.ValidatingAdmissionPolicy) {})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := admission.Verify(policy(tc.change), compiled)
			if errors.Is(err, admission.ErrDiffers) != tc.differs {
				t.Errorf("%s: want difference %v, got: %v", tc.reason, tc.differs, err)
			}
		})
	}
}
