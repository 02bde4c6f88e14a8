// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Effect says what a rule does with an operation that it matches.
// +kubebuilder:validation:Enum=Allow;RequireApproval;Deny
type Effect string

const (
	// EffectAllow lets the operation through.
	EffectAllow Effect = "Allow"

	// EffectRequireApproval lets the operation through where it is approved: it is
	// held meanwhile, or the approval was asked for before, as the terms say.
	EffectRequireApproval Effect = "RequireApproval"

	// EffectDeny refuses the operation, whatever other rules say.
	EffectDeny Effect = "Deny"
)

// ApprovalTerms says what an approval is for, who may give it, and how long the request
// waits.
// +kubebuilder:validation:XValidation:rule="has(self.scope) && self.scope == 'Session' ? has(self.maxDurationSeconds) : !has(self.maxDurationSeconds)",message="maxDurationSeconds is required when scope is Session, and forbidden otherwise"
type ApprovalTerms struct {
	// scope is Operation or Session. Operation holds each operation until it is
	// approved. Session refuses what has no approval; one is asked for before and
	// then lets everything through that the rule matches, for its requester, until
	// it ends. Unset means Operation.
	// +optional
	Scope ApprovalScope `json:"scope,omitempty"`

	// maxDurationSeconds is how long an approval of scope Session may last at most.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	MaxDurationSeconds int32 `json:"maxDurationSeconds,omitempty"`

	// approvers may decide, if the API server also grants them the verb approve
	// on the Connection. The requester never counts.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Approvers []Approver `json:"approvers,omitempty"`

	// minimum is the number of different approvers that must approve.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Minimum int32 `json:"minimum,omitempty"`

	// timeoutSeconds is how long the request waits for its approvals: a held
	// operation is then refused, a request of scope Session expires.
	// +required
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`

	// breakGlass names who may go ahead without approvals for a short time, in the
	// open and reviewed afterwards. Unset lets nobody.
	// +optional
	BreakGlass *BreakGlass `json:"breakGlass,omitempty"`
}

// BreakGlass lets named people do for a short time, without approvals, what a rule asks
// them for. Each use is on record, raises a Warning and an alert, and has to be reviewed
// afterwards by one of the rule's approvers.
type BreakGlass struct {
	// subjects may declare it, for themselves: users and groups as the API server
	// knows them. People only: approvals that last are not for service accounts.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(s, !s.name.startsWith('system:'))",message="breakGlass is for named people: no subject's name begins with 'system:'"
	Subjects []Approver `json:"subjects,omitempty"`

	// maxDurationSeconds is how long it may last at most.
	// +required
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=86400
	MaxDurationSeconds int32 `json:"maxDurationSeconds,omitempty"`
}

// Rule matches operations and says what happens to them. Of all rules of all matching
// policies, any Deny wins, else any RequireApproval, else any Allow; else the operation
// is refused.
// +kubebuilder:validation:XValidation:rule="self.effect == 'RequireApproval' ? has(self.approval) : !has(self.approval)",message="approval is required when effect is RequireApproval, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.effect != 'Allow' || has(self.resources)",message="resources is required when effect is Allow; write '*' to allow the actions on every resource"
// +kubebuilder:validation:XValidation:rule="self.effect != 'Allow' || !has(self.properties)",message="properties is forbidden when effect is Allow; write a Deny or RequireApproval rule for what must not pass"
type Rule struct {
	// name of the rule, unique in the policy. Records and messages carry it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// effect is Allow, RequireApproval or Deny.
	// +required
	Effect Effect `json:"effect,omitempty"`

	// actions are globs over the actions of the protocol. A '*' stands for any
	// run of characters. A glob that matches no action of the protocol is
	// reported as Accepted=False, and the policy then grants nothing.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[!-~]+$`
	Actions []string `json:"actions,omitempty"`

	// resources are globs over the resources that the protocol documents. Unset
	// matches operations with any resource and with none; an Allow rule must say
	// so with "*".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^[^\x00-\x1f\x7f]+$`
	Resources []string `json:"resources,omitempty"`

	// properties must all be present in the operation, for example
	// unboundedWrite. Unset asks for none. Not for Allow rules.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[a-z][a-zA-Z0-9]*$`
	Properties []string `json:"properties,omitempty"`

	// message is shown to the caller when the rule refuses or holds an operation.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Message string `json:"message,omitempty"`

	// approval says who may approve. Required when effect is RequireApproval.
	// +optional
	Approval *ApprovalTerms `json:"approval,omitempty"`
}

// AccessPolicySpec says what its subjects may do on its connections.
//
// All but rego are always written, also where empty: a misspelt key is then an error from
// every client, and never a missing Deny rule, mask, limit or condition, or a session with
// all that the credential's own role may do. A policy with rego has nothing else, so that it
// says nothing at all without it.
//
// +kubebuilder:validation:XValidation:rule="has(self.rego) || size(self.rules) + size(self.masks) + size(self.limits) + size(self.targetRole) > 0",message="at least one rule, mask or limit, a targetRole, or rego, is required"
// +kubebuilder:validation:XValidation:rule="!has(self.rego) || size(self.rules) + size(self.masks) + size(self.limits) + size(self.targetRole) == 0",message="a policy with rego has no rules, masks, limits or targetRole; write a second policy"
// +kubebuilder:validation:XValidation:rule="!self.when.exists(c, c.type == 'SharedCredential') || self.rules.all(r, r.effect != 'Allow')",message="a policy under the condition SharedCredential has no Allow rules: they would allow only those whose credential is shared"
type AccessPolicySpec struct {
	// mode is Enforce or Audit. A policy in mode Audit decides nothing: what it would
	// have changed is put on record beside the real decision, and counted in status.
	// +required
	Mode PolicyMode `json:"mode,omitempty"`

	// when says under which conditions the policy is in force: all of them must
	// hold. May be empty, which is always, never absent.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=8
	When []PolicyCondition `json:"when"`

	// subjects are the callers that the policy is about.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	Subjects []Subject `json:"subjects,omitempty"`

	// connections are the Connections of this namespace that the policy is about.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Connections []ConnectionSelector `json:"connections,omitempty"`

	// rules say what happens to operations. May be empty, never absent.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	Rules []Rule `json:"rules"`

	// masks hide fields. May be empty, never absent.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	Masks []Mask `json:"masks"`

	// limits bound what the subjects get. May be empty, never absent. Those of all
	// matching policies hold.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	Limits []Limit `json:"limits"`

	// targetRole is the role that sessions of the subjects assume at the target
	// and cannot leave, where the protocol has roles: for postgres the role of SET
	// ROLE, of which the credential's user must be a member. Empty is the
	// credential's own role; never absent. A policy whose protocol has no roles is
	// reported as Accepted=False. Two policies that match a caller and name
	// different roles refuse him the session.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	// +kubebuilder:validation:XValidation:rule="bytes(self).size() <= 63",message="targetRole must have at most 63 bytes"
	TargetRole string `json:"targetRole"`

	// rego decides instead of rules, for what they cannot say. A policy that has it
	// has no rules, masks, limits or targetRole.
	// +optional
	Rego *Rego `json:"rego,omitempty"`
}

// SelectedConnection is a Connection that the policy is compiled into.
type SelectedConnection struct {
	// name of the Connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// revision is the snapshot revision of the Connection that first held this
	// generation of the policy. Unset means that none was published yet.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"`
}

// AccessPolicyStatus is what the manager observed of an AccessPolicy.
type AccessPolicyStatus struct {
	// conditions are the observations of the policy's state. Known types are
	// Ready and Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// connections are the Connections that the policy is compiled into, the first
	// 256 by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Connections []SelectedConnection `json:"connections,omitempty"`

	// audit counts what a policy in mode Audit would have changed since this
	// generation was in force. Unset in mode Enforce.
	// +optional
	Audit *PolicyAudit `json:"audit,omitempty"`
}

// AccessPolicy says what subjects may do on connections: which operations pass, which
// need an approval, which are refused, what is masked, and how much is returned. What
// no policy allows is refused.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=doorward,shortName=ap
// +kubebuilder:printcolumn:name="Subjects",type="string",JSONPath=".spec.subjects[*].name",description="Whom the policy is about"
// +kubebuilder:printcolumn:name="Connections",type="string",JSONPath=".spec.connections[*].name",description="What the policy is about"
// +kubebuilder:printcolumn:name="Mode",type="string",JSONPath=".spec.mode",description="Enforce, or Audit, which only records"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the policy is in force"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type AccessPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec AccessPolicySpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status AccessPolicyStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (p *AccessPolicy) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (p *AccessPolicy) SetConditions(conditions []metav1.Condition) { p.Status.Conditions = conditions }

// AccessPolicyList is a list of AccessPolicies.
// +kubebuilder:object:root=true
type AccessPolicyList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the AccessPolicies.
	Items []AccessPolicy `json:"items"`
}
