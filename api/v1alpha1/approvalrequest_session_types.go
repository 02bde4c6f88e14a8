// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PolicyKind is a kind of policy.
// +kubebuilder:validation:Enum=AccessPolicy;ClusterAccessPolicy
type PolicyKind string

const (
	// KindAccessPolicy is an AccessPolicy of the same namespace.
	KindAccessPolicy PolicyKind = "AccessPolicy"

	// KindClusterAccessPolicy is a ClusterAccessPolicy.
	KindClusterAccessPolicy PolicyKind = "ClusterAccessPolicy"
)

// RequestedRule is a rule whose approval is asked for, or a part of what it matches.
type RequestedRule struct {
	// kind of the policy.
	// +required
	Kind PolicyKind `json:"kind,omitempty"`

	// policy is the name of the policy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`

	// rule is the name of the rule, whose approval must be of scope Session.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Rule string `json:"rule,omitempty"`

	// actions are globs that narrow the rule. Unset asks for all its actions.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[!-~]+$`
	Actions []string `json:"actions,omitempty"`

	// resources are globs that narrow the rule. Unset asks for all its resources.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:Pattern=`^[^\pC\p{Zl}\p{Zp}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0000}-\x{e0fff}]+$`
	Resources []string `json:"resources,omitempty"`
}

// RequestedSession is what a request of scope Session asks for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.breakGlass) || !has(self.notBefore)",message="notBefore is forbidden with breakGlass, which begins at once"
// +kubebuilder:validation:XValidation:rule="self.rules.map(r, (has(r.actions) ? r.actions.map(a, size(a)).sum() : 0) + (has(r.resources) ? r.resources.map(a, size(a)).sum() : 0)).sum() <= 4096",message="actions and resources of all rules have at most 4096 characters together"
type RequestedSession struct {
	// reason is shown to approvers and kept on record. Characters that could deceive
	// them, such as control, bidirectional and invisible ones, are not taken.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[^\pC\p{Zl}\p{Zp}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0000}-\x{e0fff}]+$`
	Reason string `json:"reason,omitempty"`

	// durationSeconds is how long the approval is to last from when it is given, or
	// from notBefore where that is later. The rules bound it.
	// +required
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	DurationSeconds int32 `json:"durationSeconds,omitempty"`

	// notBefore is when the approval begins at the earliest, at most 7 days after
	// the request was made. Unset begins when it is given.
	// +optional
	NotBefore metav1.Time `json:"notBefore,omitempty,omitzero"`

	// rules are those whose approval is asked for. The terms of each must be met.
	// What is refused for want of an approval names them.
	// +required
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=policy
	// +listMapKey=rule
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Rules []RequestedRule `json:"rules,omitempty"`

	// breakGlass as Declared goes ahead without approvals, where each of the rules
	// lets the requester: loudly, and to be reviewed afterwards.
	// +optional
	BreakGlass BreakGlassDeclaration `json:"breakGlass,omitempty"`
}

// Revocation ends an approval of scope Session.
type Revocation struct {
	// reason is shown to the requester and kept on record.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[^\pC\p{Zl}\p{Zp}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0000}-\x{e0fff}]+$`
	Reason string `json:"reason,omitempty"`

	// username is the Kubernetes user who revokes. It is filled in at admission
	// where it is absent, and must be the user of the request where it is not.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Username string `json:"username,omitempty"`
}

// AskedRule is what a request of scope Session asks for of one rule, as approvers read it.
type AskedRule struct {
	// kind of the policy.
	// +required
	Kind PolicyKind `json:"kind,omitempty"`

	// policy is the name of the policy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`

	// rule is the name of the rule.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Rule string `json:"rule,omitempty"`

	// lets says in words what an approval lets through: what the rule matches, and
	// what the requester narrowed that to. Characters that could deceive are
	// escaped.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Lets string `json:"lets,omitempty"`

	// truncation says whether the end of lets is missing. The digest is over all.
	// +required
	Truncation Truncation `json:"truncation,omitempty"`
}

// SessionApproval is what the manager found a request of scope Session to ask for, and
// when its approval holds.
type SessionApproval struct {
	// digest is the SHA-256 over the request, its requester, what it asks for, what
	// the rules let through and its binding, as sha256:<64 hex digits>. Every decision repeats it.
	// +required
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Digest string `json:"digest,omitempty"`

	// binding is the state of the world that the request was accepted in.
	// +required
	Binding Binding `json:"binding,omitzero"`

	// approvers are all approvers that the binding's rules name.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=512
	Approvers []Approver `json:"approvers,omitempty"`

	// rules say what is asked for, in the order of spec.session.rules.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Rules []AskedRule `json:"rules,omitempty"`

	// claimed is what the requester says of issuer and subject, which nobody has
	// proven: it narrows the approval to callers with these, and says nothing of who
	// asks. Unset where they say nothing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Claimed string `json:"claimed,omitempty"`

	// startsAt is when the approval begins. Unset before it is given.
	// +optional
	StartsAt metav1.Time `json:"startsAt,omitempty,omitzero"`

	// expiresAt is when the approval ends, and with it the sessions that rest on it.
	// Unset before it is given.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt,omitempty,omitzero"`
}

// DecidedDigest is the digest that decisions on the request repeat; empty for a request of
// scope Session that the manager has not looked at yet.
func (r *ApprovalRequest) DecidedDigest() string {
	switch {
	case r.Spec.Scope != ApprovalScopeSession:
		return r.Spec.Operation.Digest
	case r.Status.Session != nil:
		return r.Status.Session.Digest
	}
	return ""
}
