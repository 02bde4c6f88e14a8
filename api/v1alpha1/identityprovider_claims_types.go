// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PrefixedClaimMapping makes a name of a claim or of an expression.
// +kubebuilder:validation:XValidation:rule="has(self.claim) != has(self.expression)",message="exactly one of claim and expression is required"
// +kubebuilder:validation:XValidation:rule="has(self.claim) == has(self.prefix)",message="prefix is required with claim, also where empty, and forbidden with expression"
type PrefixedClaimMapping struct {
	// claim is the name of the token's claim.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// prefix is put before the value of the claim. With a claim it is always
	// written, also where empty, since a misspelt key must not make names overlap.
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=64
	Prefix *string `json:"prefix,omitempty"`

	// expression makes the name by CEL. The variable claims is a map of the
	// token's claims.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression,omitempty"`
}

// ClaimMapping takes the value of a claim as it is, or that of an expression.
// +kubebuilder:validation:XValidation:rule="has(self.claim) != has(self.expression)",message="exactly one of claim and expression is required"
type ClaimMapping struct {
	// claim is the name of the token's claim.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// expression makes the value by CEL. The variable claims is a map of the
	// token's claims.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression,omitempty"`
}

// ExtraMapping keeps something of the token under a name of its own.
type ExtraMapping struct {
	// key is the name: a lowercase domain, a slash and a path. Those of
	// kubernetes.io and k8s.io are reserved.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[a-z0-9/._~%!$&'()*+,;=:-]+$`
	// +kubebuilder:validation:XValidation:rule="!self.split('/')[0].endsWith('.kubernetes.io') && !self.split('/')[0].endsWith('.k8s.io') && !(self.split('/')[0] in ['kubernetes.io', 'k8s.io'])",message="keys of kubernetes.io and k8s.io are reserved"
	Key string `json:"key,omitempty"`

	// valueExpression makes the value by CEL: a string or a list of strings. The
	// variable claims is a map of the token's claims. Empty and null mean that the
	// caller has no such value.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	ValueExpression string `json:"valueExpression,omitempty"`
}

// ClaimMappings says which claims make up a caller.
type ClaimMappings struct {
	// username makes the user name that policies and records carry. With the
	// claim email, the claim email_verified must be true; an expression that uses
	// claims.email is taken only where one of username, extra or
	// claimValidationRules uses claims.email_verified.
	// +required
	Username PrefixedClaimMapping `json:"username,omitzero"`

	// groups makes the groups: of a string or a list of strings. Unset means that
	// callers have none.
	// +optional
	Groups *PrefixedClaimMapping `json:"groups,omitempty"`

	// uid makes what tells a caller from another of the same name, for
	// userValidationRules. Unset means that callers have none; records have the
	// token's subject in any case.
	// +optional
	UID *ClaimMapping `json:"uid,omitempty"`

	// extra are kept on record, and policies look at them like at claims: a
	// subject of kind Claim names the key.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Extra []ExtraMapping `json:"extra,omitempty"`

	// kind says Human, Workload or Agent. Another value refuses the token. Where it
	// is unset, or the token lacks the claim, a caller is Human, but for one that acts
	// for somebody (act, RFC 8693 section 4.1): that is an Agent.
	// +optional
	Kind *ClaimMapping `json:"kind,omitempty"`
}

// ClaimValidationRule asks for one value of one claim, or for what an expression says.
// +kubebuilder:validation:XValidation:rule="has(self.claim) != has(self.expression)",message="exactly one of claim and expression is required"
// +kubebuilder:validation:XValidation:rule="has(self.claim) == has(self.requiredValue)",message="requiredValue is required with claim, and forbidden with expression"
// +kubebuilder:validation:XValidation:rule="!has(self.message) || has(self.expression)",message="message is for an expression"
type ClaimValidationRule struct {
	// claim is the name of the token's claim.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// requiredValue is the value that the claim must have, a string.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	RequiredValue string `json:"requiredValue,omitempty"`

	// expression must be true, by CEL. The variable claims is a map of the token's
	// claims.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression,omitempty"`

	// message is what is said where the expression is not true.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Message string `json:"message,omitempty"`
}

// UserValidationRule asks something of the caller that was made of a token.
type UserValidationRule struct {
	// expression must be true, by CEL. The variable user has the fields username,
	// groups, uid and extra.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression,omitempty"`

	// message is what is said where the expression is not true.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Message string `json:"message,omitempty"`
}
