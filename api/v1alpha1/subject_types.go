// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SubjectKind says how a Subject is matched.
// +kubebuilder:validation:Enum=User;Group;Claim;Human;Workload;Agent;Everyone;Actor;OnBehalfOfUser;OnBehalfOfGroup;AllOf
type SubjectKind string

const (
	// SubjectUser matches one mapped user name.
	SubjectUser SubjectKind = "User"

	// SubjectGroup matches every caller with one mapped group.
	SubjectGroup SubjectKind = "Group"

	// SubjectClaim matches every caller whose token has a claim with one of some values.
	SubjectClaim SubjectKind = "Claim"

	// SubjectHuman matches every person. What restricts people binds whoever acts for
	// somebody as well, whatever that is: no token tells the kind of the person behind.
	SubjectHuman SubjectKind = "Human"

	// SubjectWorkload matches every machine, such as a CI job.
	SubjectWorkload SubjectKind = "Workload"

	// SubjectAgent matches every AI agent.
	SubjectAgent SubjectKind = "Agent"

	// SubjectEveryone matches every proven caller.
	SubjectEveryone SubjectKind = "Everyone"

	// SubjectActor matches callers that act for somebody, by the subject of the
	// current actor (RFC 8693 section 4.1, act.sub).
	SubjectActor SubjectKind = "Actor"

	// SubjectOnBehalfOfUser matches callers that act for one mapped user name.
	SubjectOnBehalfOfUser SubjectKind = "OnBehalfOfUser"

	// SubjectOnBehalfOfGroup matches callers that act for somebody with one mapped group.
	SubjectOnBehalfOfGroup SubjectKind = "OnBehalfOfGroup"

	// SubjectAllOf matches callers that several subjects match at once.
	SubjectAllOf SubjectKind = "AllOf"
)

// AnyIdentityProvider as Subject.IdentityProvider matches callers of every provider.
const AnyIdentityProvider = "*"

// SubjectClaimValues is a claim of a token with the values that match.
type SubjectClaimValues struct {
	// name of a claim at the top of the token, for example repository.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[!-~]+$`
	Name string `json:"name,omitempty"`

	// values are globs, one of which must match the claim, or one of its elements
	// where it is a list. A '*' stands for any run of characters. Numbers and
	// booleans are compared as JSON writes them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^[^\x00-\x1f\x7f]+$`
	Values []string `json:"values,omitempty"`
}

// SingleSubject is a subject that says one thing of the caller.
// +union
// +kubebuilder:validation:XValidation:rule="self.kind != 'AllOf'",message="allOf holds no AllOf"
// +kubebuilder:validation:XValidation:rule="(self.kind in ['User', 'Group', 'Actor', 'OnBehalfOfUser', 'OnBehalfOfGroup']) == has(self.name)",message="name is required when kind is User, Group, Actor, OnBehalfOfUser or OnBehalfOfGroup, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.kind == 'Claim') == has(self.claim)",message="claim is required when kind is Claim, and forbidden otherwise"
type SingleSubject struct {
	// kind says what is matched: User and Group by name; Claim by the token;
	// Human, Workload, Agent and Everyone by what the caller is; Actor,
	// OnBehalfOfUser and OnBehalfOfGroup by the chain of delegation.
	// +unionDiscriminator
	// +required
	Kind SubjectKind `json:"kind,omitempty"`

	// name is the user name or group after the provider's claim mapping, or the
	// actor's subject, compared exactly.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name,omitempty"`

	// claim is what the token must hold.
	// +unionMember
	// +optional
	Claim *SubjectClaimValues `json:"claim,omitempty"`
}

// Subject names callers.
//
// What restricts (Deny and RequireApproval rules, masks, limits, targetRole) holds for a
// caller who acts for somebody whenever it holds for that person, who is taken for a
// Human. What lets through does
// not: such a caller is let through only by subjects that name a delegation, with Actor,
// OnBehalfOfUser or OnBehalfOfGroup.
// +union
// +kubebuilder:validation:XValidation:rule="(self.kind in ['User', 'Group', 'Actor', 'OnBehalfOfUser', 'OnBehalfOfGroup']) == has(self.name)",message="name is required when kind is User, Group, Actor, OnBehalfOfUser or OnBehalfOfGroup, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.kind == 'Claim') == has(self.claim)",message="claim is required when kind is Claim, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.kind == 'AllOf') == has(self.allOf)",message="allOf is required when kind is AllOf, and forbidden otherwise"
type Subject struct {
	// kind says what is matched: User and Group by name; Claim by the token;
	// Human, Workload, Agent and Everyone by what the caller is; Actor,
	// OnBehalfOfUser and OnBehalfOfGroup by the chain of delegation; AllOf by
	// several of these at once.
	// +unionDiscriminator
	// +required
	Kind SubjectKind `json:"kind,omitempty"`

	// name is the user name or group after the provider's claim mapping, or the
	// actor's subject, compared exactly.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name,omitempty"`

	// claim is what the token must hold.
	// +unionMember
	// +optional
	Claim *SubjectClaimValues `json:"claim,omitempty"`

	// identityProvider is the IdentityProvider that must have proven the caller,
	// or "*" for any. It is required, since a misspelt key must not widen access.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == '*' || !format.dns1123Subdomain().validate(self).hasValue()",message="identityProvider must be the name of an IdentityProvider, or '*' for any"
	IdentityProvider string `json:"identityProvider,omitempty"`

	// allOf are the subjects that must all match.
	// +unionMember
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=8
	AllOf []SingleSubject `json:"allOf,omitempty"`
}

// RequiredProvider returns the name of the provider that must have proven the caller, or
// the empty string where any will do.
func (s *Subject) RequiredProvider() string {
	if s.IdentityProvider == AnyIdentityProvider {
		return ""
	}
	return s.IdentityProvider
}

// ConnectionSelector selects Connections by name or by labels.
// +kubebuilder:validation:ExactlyOneOf=name;matchLabels
type ConnectionSelector struct {
	// name is the name of a Connection. A '*' stands for any run of characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$`
	Name string `json:"name,omitempty"`

	// matchLabels are labels that the Connection must all have.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}
