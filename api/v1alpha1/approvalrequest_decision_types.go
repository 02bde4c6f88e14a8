// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Verdict is what an approver decided.
// +kubebuilder:validation:Enum=Approve;Deny
type Verdict string

const (
	// VerdictApprove counts towards the number of approvals.
	VerdictApprove Verdict = "Approve"

	// VerdictDeny ends the request.
	VerdictDeny Verdict = "Deny"
)

// DecisionApprover is who decided, as the API server authenticated them.
type DecisionApprover struct {
	// username is the Kubernetes user name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Username string `json:"username,omitempty"`

	// groups are the Kubernetes groups.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`

	// uid is the UID of the user, where the authenticator has one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	UID string `json:"uid,omitempty"`
}

// Decision is one approver's verdict. It is written with a JSON patch that tests
// /metadata/uid and adds to /spec/decisions/-.
type Decision struct {
	// verdict is Approve or Deny.
	// +required
	Verdict Verdict `json:"verdict,omitempty"`

	// operationDigest repeats the digest of what the approver read:
	// spec.operation.digest, or status.session.digest when scope is Session.
	// +required
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	OperationDigest string `json:"operationDigest,omitempty"`

	// comment is shown to the requester and kept on record.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Comment string `json:"comment,omitempty"`

	// approver is filled in at admission where it is absent, and must be the user
	// of the request where it is not. A decision without it does not count.
	// +optional
	Approver *DecisionApprover `json:"approver,omitempty"`
}

// Use marks the one use of an approval.
type Use struct {
	// usedAt is when the operation was let go.
	// +required
	UsedAt metav1.Time `json:"usedAt,omitempty,omitzero"`

	// proxyInstance is the proxy instance that let it go.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ProxyInstance string `json:"proxyInstance,omitempty"`
}

// ApprovalPhase sums a request up.
// +kubebuilder:validation:Enum=Pending;Approved;Denied;Expired;Stale;Used;Void;Revoked
type ApprovalPhase string

const (
	// ApprovalPending waits for decisions.
	ApprovalPending ApprovalPhase = "Pending"

	// ApprovalApproved has all approvals and can be used: by its holder, or by its
	// requester until it expires.
	ApprovalApproved ApprovalPhase = "Approved"

	// ApprovalDenied was denied by an approver.
	ApprovalDenied ApprovalPhase = "Denied"

	// ApprovalExpired was not approved or used in time, or its time is over.
	ApprovalExpired ApprovalPhase = "Expired"

	// ApprovalStale was made for a Connection or policy that changed since.
	ApprovalStale ApprovalPhase = "Stale"

	// ApprovalUsed was used.
	ApprovalUsed ApprovalPhase = "Used"

	// ApprovalVoid can never be used, because what it says cannot be trusted or
	// its holder is gone.
	ApprovalVoid ApprovalPhase = "Void"

	// ApprovalRevoked was ended by spec.revoke.
	ApprovalRevoked ApprovalPhase = "Revoked"
)

// DecisionState says whether a decision counts.
// +kubebuilder:validation:Enum=Counted;Void
type DecisionState string

const (
	// DecisionCounted counts.
	DecisionCounted DecisionState = "Counted"

	// DecisionVoid does not count.
	DecisionVoid DecisionState = "Void"
)

// DecisionStatus is what the manager made of one decision.
type DecisionStatus struct {
	// index of the decision in spec.decisions.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31
	Index int32 `json:"index"`

	// state is Counted or Void. It never changes.
	// +required
	State DecisionState `json:"state,omitempty"`

	// reason is a word for why.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`

	// message says why.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ApprovalRequestStatus is what the manager, and nobody else, made of the decisions.
type ApprovalRequestStatus struct {
	// conditions are the observations of the request's state. Known types are
	// Accepted, Approved, Complete, BreakGlass and Reviewed.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase sums the request up.
	// +optional
	Phase ApprovalPhase `json:"phase,omitempty"`

	// approvals is the number of different approvers whose approval counts.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	Approvals int32 `json:"approvals,omitempty"`

	// minimumApprovals is the number of approvals that are needed at least.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	MinimumApprovals int32 `json:"minimumApprovals,omitempty"`

	// expiresAt is when the request ends if nothing else becomes of it; of an
	// approved one of scope Session, when its time is over.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt,omitempty,omitzero"`

	// session is what a request of scope Session was found to ask for. Approvers
	// read it: its digest is what they decide on.
	// +optional
	Session *SessionApproval `json:"session,omitempty"`

	// breakGlass is there once the request went ahead without approvals.
	// +optional
	BreakGlass *BreakGlassUse `json:"breakGlass,omitempty"`

	// decisions say which decisions count.
	// +optional
	// +listType=map
	// +listMapKey=index
	// +kubebuilder:validation:MaxItems=32
	Decisions []DecisionStatus `json:"decisions,omitempty"`

	// notifications are those that are over, so that none is sent again.
	// +optional
	// +listType=map
	// +listMapKey=notifier
	// +listMapKey=event
	// +kubebuilder:validation:MaxItems=128
	Notifications []Notification `json:"notifications,omitempty"`
}
