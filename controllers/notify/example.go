// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// hostile tries to break out of whatever it is put into.
const hostile = "\"}],\"text\":\"\\\" \x1b[2K\u202e<!channel> <https://evil.example|Approve> &amp; [Approve](https://evil.example) `*_~ <b>\n\r\t\x00 \xff"

// examples are the requests that a template is tried with: of both scopes, and one that goes
// ahead without approvals, with as much text as there can be.
func examples() []*v1alpha1.ApprovalRequest {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	digest := "sha256:" + strings.Repeat("0", 64)
	operation := &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders-db-x7k2p", UID: "00000000-0000-0000-0000-000000000000", CreationTimestamp: at},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: "orders-db"}, Scope: v1alpha1.ApprovalScopeOperation,
			Requester: v1alpha1.Requester{Username: "alice" + hostile},
			Operation: v1alpha1.HeldOperation{
				Digest: digest, Statement: strings.Repeat("DELETE FROM orders "+hostile, 40), Truncation: v1alpha1.TruncationTruncated,
				Accesses: []v1alpha1.Access{{Action: "delete", Resource: "public.orders" + hostile}},
			},
			Binding: v1alpha1.Binding{Policies: []v1alpha1.BoundRule{{Name: "orders", Rule: "deletes"}}},
			Decisions: []v1alpha1.Decision{{
				Verdict: v1alpha1.VerdictDeny, OperationDigest: digest, Comment: hostile, Approver: &v1alpha1.DecisionApprover{Username: "bob" + hostile},
			}},
		},
		Status: v1alpha1.ApprovalRequestStatus{
			Phase: v1alpha1.ApprovalPending, MinimumApprovals: 1, ExpiresAt: at,
			Decisions: []v1alpha1.DecisionStatus{{Index: 0, State: v1alpha1.DecisionCounted, Reason: v1alpha1.ReasonCounted}},
		},
	}
	session := operation.DeepCopy()
	session.Spec.Scope, session.Spec.Operation, session.Spec.Decisions = v1alpha1.ApprovalScopeSession, v1alpha1.HeldOperation{}, nil
	session.Spec.Session = v1alpha1.RequestedSession{
		Reason: strings.Repeat("incident 4711 "+hostile, 8), DurationSeconds: 3600,
		Rules: []v1alpha1.RequestedRule{{Kind: v1alpha1.KindAccessPolicy, Policy: "orders", Rule: "deletes", Resources: []string{hostile}}},
	}
	session.Spec.Revoke = &v1alpha1.Revocation{Reason: hostile, Username: "carol" + hostile}
	session.Status.Session = &v1alpha1.SessionApproval{Digest: digest}
	broken := session.DeepCopy()
	broken.Spec.Session.BreakGlass, broken.Status.MinimumApprovals = v1alpha1.BreakGlassDeclared, 0
	broken.Status.BreakGlass = &v1alpha1.BreakGlassUse{ReasonDigest: digest}
	return []*v1alpha1.ApprovalRequest{operation, session, broken}
}
