// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enforcement

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// The policies whose refusal the probes must meet.
const (
	createPolicy = "doorward-approvalrequest-create"
	updatePolicy = "doorward-approvalrequest-update"
)

// forgedDigest belongs to no operation.
const forgedDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// forgedName is the requester and approver of forged objects.
const forgedName = "doorward-forged"

// probeCreate sends requests of both scopes that name another requester, as dry runs. They
// are valid by their schema, so that only the admission policy refuses them.
func probeCreate(ctx context.Context, c client.Client, namespace string) error {
	err := c.Create(ctx, forgedRequest(namespace), client.DryRunAll)
	if err := refusedBy(err, createPolicy, "a forged ApprovalRequest"); err != nil {
		return err
	}
	err = c.Create(ctx, forgedSession(namespace), client.DryRunAll)
	return refusedBy(err, createPolicy, "a forged ApprovalRequest of scope Session")
}

// probeDecision adds a decision in another's name to a request, as a dry run.
func probeDecision(ctx context.Context, c client.Client, request *v1alpha1.ApprovalRequest) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": request.UID},
		{"op": "add", "path": "/spec/decisions/-", "value": v1alpha1.Decision{
			Verdict: v1alpha1.VerdictApprove, OperationDigest: cmp.Or(request.DecidedDigest(), forgedDigest),
			Approver: &v1alpha1.DecisionApprover{Username: forgedName},
		}},
	})
	if err != nil {
		return fmt.Errorf("cannot encode forged decision: %w", err)
	}
	err = c.Patch(ctx, request.DeepCopy(), client.RawPatch(types.JSONPatchType, patch), client.DryRunAll)
	return refusedBy(err, updatePolicy, "a forged decision")
}

// refusedBy says whether an error is the refusal of an admission policy. Any
// other refusal proves nothing: the policy may not have been asked.
func refusedBy(err error, policy, what string) error {
	if err == nil {
		return fmt.Errorf("%w: the API server accepted %s as a dry run: see whether ValidatingAdmissionPolicy %q and its binding are in place", ErrNotEnforced, what, policy)
	}
	if (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'") {
		return nil
	}
	return fmt.Errorf("cannot prove that admission refuses %s: %w", what, err)
}

func forgedRequest(namespace string) *v1alpha1.ApprovalRequest {
	return &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: forgedName},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: forgedName},
			Scope:         v1alpha1.ApprovalScopeOperation,
			Requester:     v1alpha1.Requester{Issuer: "https://forged.invalid", Subject: forgedName, Username: forgedName},
			Operation: v1alpha1.HeldOperation{
				Digest: forgedDigest, Statement: "forged", Truncation: v1alpha1.TruncationNone,
				Accesses: []v1alpha1.Access{{Action: "forged"}},
			},
			Holder: v1alpha1.Holder{ProxyInstance: forgedName, Session: forgedName, Nonce: strings.TrimPrefix(forgedDigest, "sha256:")},
			Binding: v1alpha1.Binding{
				ConnectionUID: "00000000-0000-0000-0000-000000000000", ConnectionGeneration: 1,
				Policies: []v1alpha1.BoundRule{{Name: forgedName, UID: "00000000-0000-0000-0000-000000000000", Generation: 1, Rule: "forged"}},
			},
			Approvers:        []v1alpha1.Approver{{Kind: v1alpha1.ApproverUser, Name: forgedName}},
			MinimumApprovals: 1,
			ExpiresAt:        metav1.NewTime(time.Now().Add(time.Hour)),
			Decisions:        []v1alpha1.Decision{},
		},
	}
}

func forgedSession(namespace string) *v1alpha1.ApprovalRequest {
	return &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: forgedName + "-"},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: forgedName},
			Scope:         v1alpha1.ApprovalScopeSession,
			Requester:     v1alpha1.Requester{Username: forgedName},
			Session: v1alpha1.RequestedSession{
				Reason: "forged", DurationSeconds: 60,
				Rules: []v1alpha1.RequestedRule{{Kind: v1alpha1.KindAccessPolicy, Policy: forgedName, Rule: "forged"}},
			},
			Decisions: []v1alpha1.Decision{},
		},
	}
}
