// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApprovalScope says what an approval is for.
// +kubebuilder:validation:Enum=Operation;Session
type ApprovalScope string

const (
	// ApprovalScopeOperation asks for one operation that a proxy holds.
	ApprovalScopeOperation ApprovalScope = "Operation"

	// ApprovalScopeSession asks, in advance, for everything that some rules match,
	// for a time.
	ApprovalScopeSession ApprovalScope = "Session"
)

// Labels of ApprovalRequests, by which proxies watch those that concern them.
const (
	// LabelConnection holds the name of the Connection.
	LabelConnection = "doorward.dev/connection"

	// LabelScope holds the scope of a request of scope Session.
	LabelScope = "doorward.dev/scope"
)

// Truncation says whether a shown statement is whole.
// +kubebuilder:validation:Enum=None;Truncated
type Truncation string

const (
	// TruncationNone means that the statement is shown whole.
	TruncationNone Truncation = "None"

	// TruncationTruncated means that the end of the statement is not shown.
	TruncationTruncated Truncation = "Truncated"
)

// Requester is who asks: of scope Operation the proven caller whose operation is held,
// of scope Session the Kubernetes user who made the request.
type Requester struct {
	// issuer is the iss claim of the caller's token. Required when scope is
	// Operation. Where a request of scope Session has it, its approval is for
	// callers of this issuer only.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// subject is the sub claim of the caller's token. As issuer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`

	// username is the Kubernetes user name: of scope Operation the caller's, as the
	// IdentityProvider maps it; of scope Session that of the user who made the
	// request, filled in at admission where it is absent. It can never decide on the
	// request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Username string `json:"username,omitempty"`

	// groups are the caller's mapped groups; of scope Session the Kubernetes groups
	// of the user who made the request.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`
}

// Access is one thing that an operation does.
type Access struct {
	// action is a word of the protocol's vocabulary.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Action string `json:"action,omitempty"`

	// resource is what the action is done to. Unset where the action has none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Resource string `json:"resource,omitempty"`
}

// HeldOperation is exactly what is asked for.
type HeldOperation struct {
	// digest is the SHA-256 over the whole operation, as sha256:<64 hex digits>.
	// Every decision repeats it.
	// +required
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Digest string `json:"digest,omitempty"`

	// statement is the operation in words, with control characters, bidirectional
	// and invisible characters escaped.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Statement string `json:"statement,omitempty"`

	// truncation says whether the end of the statement is missing.
	// +required
	Truncation Truncation `json:"truncation,omitempty"`

	// accesses are what the operation does.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Accesses []Access `json:"accesses,omitempty"`

	// properties are the named properties of the operation.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Properties []string `json:"properties,omitempty"`
}

// Holder is who holds the operation. The approval dies with it.
type Holder struct {
	// proxyInstance is the id of the proxy instance.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ProxyInstance string `json:"proxyInstance,omitempty"`

	// session is the name of the AuditSession.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Session string `json:"session,omitempty"`

	// nonce is the SHA-256 of a secret that only the holder knows, as 64 hex
	// digits.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	Nonce string `json:"nonce,omitempty"`
}

// BoundRule is a rule that asked for the approval.
type BoundRule struct {
	// name of the AccessPolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// uid of the AccessPolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// generation of the AccessPolicy.
	// +required
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation,omitempty"`

	// rule is the name of the rule.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Rule string `json:"rule,omitempty"`
}

// Binding is the state of the world that the request was made in. A change of it makes
// the request stale.
type Binding struct {
	// connectionUID is the UID of the Connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ConnectionUID string `json:"connectionUID,omitempty"`

	// connectionGeneration is the generation of the Connection.
	// +required
	// +kubebuilder:validation:Minimum=1
	ConnectionGeneration int64 `json:"connectionGeneration,omitempty"`

	// policies are the rules that asked for the approval. The terms of each must
	// be met.
	// +required
	// +listType=map
	// +listMapKey=name
	// +listMapKey=uid
	// +listMapKey=rule
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Policies []BoundRule `json:"policies,omitempty"`
}

// ApprovalRequestSpec says who asks for what, and what was decided. Everything but
// decisions, which only grows, use and revoke, which are set once, and review, which is
// replaced only while it does not count, is immutable.
//
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || self.decisions.size() == 0",optionalOldSelf=true,message="decisions must be empty on create"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !has(self.use)",optionalOldSelf=true,message="use must be absent on create"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !has(self.revoke)",optionalOldSelf=true,message="revoke must be absent on create"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !has(self.review)",optionalOldSelf=true,message="review must be absent on create"
// +kubebuilder:validation:XValidation:rule="self.scope != 'Session' || ((!has(self.requester.issuer) || self.requester.issuer.matches('^https://[!-~]+$')) && (!has(self.requester.subject) || self.requester.subject.matches('^[^\\\\pC\\\\p{Zl}\\\\p{Zp}]+$')))",message="requester.issuer is an https URL, and requester.subject has no control or invisible characters, when scope is Session: both are what the requester says"
// +kubebuilder:validation:XValidation:rule="self.scope == 'Operation' ? has(self.operation) && has(self.holder) && has(self.binding) && has(self.approvers) && has(self.minimumApprovals) && has(self.expiresAt) && has(self.requester.issuer) && has(self.requester.subject) : !has(self.operation) && !has(self.holder) && !has(self.binding) && !has(self.approvers) && !has(self.minimumApprovals) && !has(self.expiresAt) && !has(self.use)",message="operation, holder, binding, approvers, minimumApprovals, expiresAt, requester.issuer and requester.subject are required when scope is Operation; of these only the requester's, and no use, when scope is Session"
// +kubebuilder:validation:XValidation:rule="(self.scope == 'Session') == has(self.session)",message="session is required when scope is Session, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="!has(self.revoke) || self.scope == 'Session'",message="revoke is forbidden unless scope is Session; what is held for an approval is denied"
// +kubebuilder:validation:XValidation:rule="!has(self.review) || (has(self.session) && has(self.session.breakGlass))",message="review is forbidden unless session.breakGlass is Declared; nothing else went ahead without approvals"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.review) || has(self.review)",message="review cannot be taken back"
// +kubebuilder:validation:XValidation:rule="self.decisions.size() >= oldSelf.decisions.size() && [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31].all(i, i >= oldSelf.decisions.size() || self.decisions[i] == oldSelf.decisions[i])",message="decisions can only be added to, at the end"
// +kubebuilder:validation:XValidation:rule="!has(self.operation) || self.decisions.all(d, d.operationDigest == self.operation.digest)",message="the operationDigest of a decision must equal operation.digest"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.use) || (has(self.use) && self.use == oldSelf.use)",message="use cannot be changed once it is set"
// +kubebuilder:validation:XValidation:rule="!has(self.use) || !has(self.holder) || self.use.proxyInstance == self.holder.proxyInstance",message="use.proxyInstance must equal holder.proxyInstance: only the holder of the operation can use its approval"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.revoke) || (has(self.revoke) && self.revoke == oldSelf.revoke)",message="revoke cannot be changed once it is set"
type ApprovalRequestSpec struct {
	// connectionRef is the Connection.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="connectionRef cannot be changed"
	ConnectionRef ConnectionReference `json:"connectionRef,omitzero"`

	// scope is Operation, one operation that a proxy holds, or Session, everything
	// that some rules match, for a time.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="scope cannot be changed"
	Scope ApprovalScope `json:"scope,omitempty"`

	// requester is who asks.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="requester cannot be changed"
	Requester Requester `json:"requester,omitzero"`

	// session is what is asked for when scope is Session.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="session cannot be changed"
	Session RequestedSession `json:"session,omitzero"`

	// operation is exactly what is asked for when scope is Operation.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="operation cannot be changed"
	Operation HeldOperation `json:"operation,omitzero"`

	// holder is who holds the operation.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="holder cannot be changed"
	Holder Holder `json:"holder,omitzero"`

	// binding is the state of the world that the operation was held in. That of a
	// request of scope Session is in its status.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="binding cannot be changed"
	Binding Binding `json:"binding,omitzero"`

	// approvers are all approvers that the binding's rules name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="approvers cannot be changed"
	Approvers []Approver `json:"approvers,omitempty"`

	// minimumApprovals is the largest number of approvals that one of the binding's
	// rules asks for.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="minimumApprovals cannot be changed"
	MinimumApprovals int32 `json:"minimumApprovals,omitempty"`

	// expiresAt is when the request ends if it was not used.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="expiresAt cannot be changed"
	ExpiresAt metav1.Time `json:"expiresAt,omitempty,omitzero"`

	// decisions are what approvers decided, in order. Always present: empty on
	// create, and only added to at the end.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	Decisions []Decision `json:"decisions"`

	// use marks the one use of the approval of an operation. The proxy sets it,
	// once, before it lets the operation go.
	// +optional
	Use *Use `json:"use,omitempty"`

	// revoke ends a request of scope Session, its approval, and the sessions that
	// rest on it. The requester sets it, or whoever holds the verb approve or
	// terminate on the Connection; once, and it cannot be taken back.
	// +optional
	Revoke *Revocation `json:"revoke,omitempty"`

	// review is required after what went ahead without approvals (session.breakGlass)
	// is over. Who may decide on the request, may review it.
	// +optional
	Review *Review `json:"review,omitempty"`
}

// ApprovalRequest asks approvers to let one held operation go, or to let its requester do
// for a time what some rules match. Proxies create the first, users the second; approvers
// add to spec.decisions, the manager says in its status what they come to.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=doorward,shortName=ar
// +kubebuilder:printcolumn:name="Connection",type="string",JSONPath=".spec.connectionRef.name",description="Connection that the operation is for"
// +kubebuilder:printcolumn:name="Scope",type="string",JSONPath=".spec.scope",description="One operation, or a time"
// +kubebuilder:printcolumn:name="Requester",type="string",JSONPath=".spec.requester.username",description="Who asks"
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase",description="What came of it"
// +kubebuilder:printcolumn:name="Approvals",type="integer",JSONPath=".status.approvals",description="Approvals that count"
// +kubebuilder:printcolumn:name="Needed",type="integer",JSONPath=".status.minimumApprovals",description="Approvals that are needed"
// +kubebuilder:printcolumn:name="Expires",type="string",JSONPath=".status.expiresAt",description="When the request, or what it came to, ends",priority=10
// +kubebuilder:printcolumn:name="Break-Glass",type="string",JSONPath=".spec.session.breakGlass",description="Whether it goes ahead without approvals",priority=10
// +kubebuilder:printcolumn:name="Reviewed",type="string",JSONPath=".status.conditions[?(@.type==\"Reviewed\")].status",description="Whether what went ahead without approvals was reviewed",priority=10
// +kubebuilder:printcolumn:name="Statement",type="string",JSONPath=".spec.operation.statement",description="What is asked for",priority=10
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".spec.session.reason",description="What it is asked for",priority=10
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type ApprovalRequest struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says who asks for what, and what was decided.
	// +required
	Spec ApprovalRequestSpec `json:"spec,omitzero"`

	// status is what came of it.
	// +optional
	Status ApprovalRequestStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (r *ApprovalRequest) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (r *ApprovalRequest) SetConditions(conditions []metav1.Condition) {
	r.Status.Conditions = conditions
}

// ApprovalRequestList is a list of ApprovalRequests.
// +kubebuilder:object:root=true
type ApprovalRequestList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the ApprovalRequests.
	Items []ApprovalRequest `json:"items"`
}
