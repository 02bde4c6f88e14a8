// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enforcement"
)

const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// approvals is a Connection with a rule that asks leads for approval.
type approvals struct {
	connection *v1alpha1.Connection
	policy     *v1alpha1.AccessPolicy
	proxy      client.Client
}

func newApprovals(t *testing.T, name string) approvals {
	t.Helper()
	const ns = "approvals"
	create(t, external(ns, name))
	p := allow(ns, name, name)
	p.Spec.Rules = append(p.Spec.Rules, v1alpha1.Rule{
		Name: "fix", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"},
		Approval: &v1alpha1.ApprovalTerms{Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "leads"}}, Minimum: 1, TimeoutSeconds: 600},
	})
	create(t, p)
	awaitSnapshot(t, ns, name, 1, 1)
	a := approvals{}
	eventually(t, func(g gomega.Gomega) {
		a.connection = get(g, ns, name, &v1alpha1.Connection{})
		a.policy = get(g, ns, name, &v1alpha1.AccessPolicy{})
		g.Expect(reason(a.policy, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		config, err := env.ServiceAccountConfig(t.Context(), ns, "doorward-"+name)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		a.proxy = clientOf(t, config)
		// Its rights come after the snapshot.
		g.Expect(a.proxy.List(t.Context(), &v1alpha1.ApprovalRequestList{}, client.InNamespace(ns))).To(gomega.Succeed())
	})
	return a
}

// ask makes a request as the proxy does, once enforcement is proven and the
// clock's second in which it was is over.
func (a approvals) ask(t *testing.T) *v1alpha1.ApprovalRequest {
	t.Helper()
	r := &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.connection.Namespace, GenerateName: a.connection.Name + "-"},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: a.connection.Name},
			Scope:         v1alpha1.ApprovalScopeOperation,
			Requester:     v1alpha1.Requester{Issuer: "https://issuer.example", Subject: "1", Username: "company:alice"},
			Operation: v1alpha1.HeldOperation{
				Digest: digest, Statement: "UPDATE orders SET state = 'paid'", Truncation: v1alpha1.TruncationNone,
				Accesses: []v1alpha1.Access{{Action: "update", Resource: "public.orders"}},
			},
			Holder: v1alpha1.Holder{ProxyInstance: "p-1", Session: "s-1", Nonce: strings.Repeat("1", 64)},
			Binding: v1alpha1.Binding{
				ConnectionUID: string(a.connection.UID), ConnectionGeneration: a.connection.Generation,
				Policies: []v1alpha1.BoundRule{{Name: a.policy.Name, UID: string(a.policy.UID), Generation: a.policy.Generation, Rule: "fix"}},
			},
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "leads"}}, MinimumApprovals: 1,
			ExpiresAt: metav1.NewTime(time.Now().Add(10 * time.Minute)), Decisions: []v1alpha1.Decision{},
		},
	}
	// The policies are enforced a moment after they are restored, and proven a
	// moment later; a request is believed from the next whole second on.
	eventually(t, func(g gomega.Gomega) {
		kept := get(g, operatorNamespace, enforcement.ConfigMapName, &corev1.ConfigMap{})
		g.Expect(time.Since(kept.CreationTimestamp.Time)).To(gomega.BeNumerically(">", 2*time.Second))
	})
	if err := a.proxy.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return expectPhase(t, r, v1alpha1.ApprovalPending)
}

func expectPhase(t *testing.T, r *v1alpha1.ApprovalRequest, phase v1alpha1.ApprovalPhase) *v1alpha1.ApprovalRequest {
	t.Helper()
	live := &v1alpha1.ApprovalRequest{}
	eventually(t, func(g gomega.Gomega) {
		live = get(g, r.Namespace, r.Name, &v1alpha1.ApprovalRequest{})
		g.Expect(live.Status.Phase).To(gomega.Equal(phase), "%+v", live.Status)
	})
	return live
}

func decide(t *testing.T, as client.Client, r *v1alpha1.ApprovalRequest, d v1alpha1.Decision) error {
	t.Helper()
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": r.UID}, {"op": "add", "path": "/spec/decisions/-", "value": d},
	})
	if err != nil {
		t.Fatal(err)
	}
	return as.Patch(t.Context(), r.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
}

func person(t *testing.T, name string, groups ...string) client.Client {
	t.Helper()
	config, err := env.AddUser(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	err = admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "approvals", Name: strings.ReplaceAll(name, ":", "-")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-approver"},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: name, APIGroup: rbacv1.GroupName}},
	})
	if client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	return clientOf(t, config)
}

var approve = v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove, OperationDigest: digest}

// TestApproval: another, entitled person approves, the proxy uses it once.
// checklist 31: who approved is stamped by the API server, and asked again.
func TestApproval(t *testing.T) {
	a := newApprovals(t, "shop")
	lead, alice := person(t, "company:bob", "leads"), person(t, "company:alice", "leads")
	r := a.ask(t)
	if err := decide(t, alice, r, approve); err == nil {
		t.Error("the requester approved")
	}
	if err := decide(t, lead, r, approve); err != nil {
		t.Fatal(err)
	}
	approved := expectPhase(t, r, v1alpha1.ApprovalApproved)
	if d := approved.Spec.Decisions[0].Approver; d == nil || d.Username != "company:bob" {
		t.Errorf("approver: %+v", d)
	}
	before := approved.DeepCopy()
	approved.Spec.Use = &v1alpha1.Use{UsedAt: metav1.Now(), ProxyInstance: "p-1"}
	if err := a.proxy.Patch(t.Context(), approved, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		t.Fatal(err)
	}
	expectPhase(t, r, v1alpha1.ApprovalUsed)
}

func TestDenial(t *testing.T) {
	a := newApprovals(t, "denied")
	lead := person(t, "company:bob", "leads")
	r := a.ask(t)
	if err := decide(t, lead, r, v1alpha1.Decision{Verdict: v1alpha1.VerdictDeny, OperationDigest: digest}); err != nil {
		t.Fatal(err)
	}
	expectPhase(t, r, v1alpha1.ApprovalDenied)
}

// TestStale: checklist 33: an edit of the policy between request and use.
func TestStale(t *testing.T) {
	a := newApprovals(t, "stale")
	r := a.ask(t)
	eventually(t, func(g gomega.Gomega) {
		p := get(g, a.policy.Namespace, a.policy.Name, &v1alpha1.AccessPolicy{})
		p.Spec.Rules[1].Message = "changed"
		g.Expect(admin.Update(t.Context(), p)).To(gomega.Succeed())
	})
	live := expectPhase(t, r, v1alpha1.ApprovalStale)
	if !strings.Contains(message(live, v1alpha1.ConditionApproved), "changed since") {
		t.Errorf("message: %s", message(live, v1alpha1.ConditionApproved))
	}
}

// TestForged deletes the binding, forges a full stamp and restores the binding.
// checklist 31: with admission removed, no decision counts, then and later.
func TestForged(t *testing.T) {
	a := newApprovals(t, "forged")
	r := a.ask(t)
	mallory := person(t, "company:mallory")
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	if err := admin.Get(t.Context(), client.ObjectKey{Name: "doorward-approvalrequest-update"}, binding); err != nil {
		t.Fatal(err)
	}
	restored := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: binding.Name}, Spec: binding.Spec}
	if err := admin.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	forged := approve
	forged.Approver = &v1alpha1.DecisionApprover{Username: "company:bob", Groups: []string{"leads", "system:authenticated"}}
	eventually(t, func(g gomega.Gomega) {
		// The API server forgets a binding a moment after it is gone.
		g.Expect(decide(t, mallory, r, forged)).To(gomega.Succeed())
	})
	if err := admin.Create(t.Context(), restored); err != nil {
		t.Fatal(err)
	}
	live := expectPhase(t, r, v1alpha1.ApprovalVoid)
	if reason(live, v1alpha1.ConditionAccepted) != "False "+v1alpha1.ReasonAdmissionNotEnforced {
		t.Errorf("conditions: %+v", live.Status.Conditions)
	}
	// A new request is believed once enforcement is proven again, and the forged
	// one stays void.
	after := a.ask(t)
	lead := person(t, "company:bob", "leads")
	if err := decide(t, lead, after, approve); err != nil {
		t.Fatal(err)
	}
	expectPhase(t, after, v1alpha1.ApprovalApproved)
	live = expectPhase(t, r, v1alpha1.ApprovalVoid)
	for _, d := range live.Status.Decisions {
		if d.State != v1alpha1.DecisionVoid || d.Reason != v1alpha1.ReasonAdmissionNotEnforced {
			t.Errorf("decision %d: %s %s", d.Index, d.State, d.Reason)
		}
	}
}
