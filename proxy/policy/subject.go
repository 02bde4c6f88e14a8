// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// The kinds of subjects.
const (
	User            = "User"
	Group           = "Group"
	Claim           = "Claim"
	Human           = "Human"
	Workload        = "Workload"
	Agent           = "Agent"
	Everyone        = "Everyone"
	Actor           = "Actor"
	OnBehalfOfUser  = "OnBehalfOfUser"
	OnBehalfOfGroup = "OnBehalfOfGroup"
	AllOf           = "AllOf"
)

// SubjectKinds are all of them.
func SubjectKinds() []string {
	return []string{User, Group, Claim, Human, Workload, Agent, Everyone, Actor, OnBehalfOfUser, OnBehalfOfGroup, AllOf}
}

// Subject matches callers. Of somebody who acts for another it is held against that
// person: what restricts him binds whoever acts for him, and so does what restricts
// every Human, since no token tells the kind of that person. What is allowed needs a
// subject of kind Actor, OnBehalfOfUser or OnBehalfOfGroup then, or an AllOf with one.
//
// Provider, where set, is the IdentityProvider that must have proven the caller; it
// stands on the outermost Subject only.
type Subject struct {
	Kind     string `json:"kind"`
	Name     string `json:"name,omitempty"`
	Provider string `json:"provider,omitempty"`
	// Values are globs, one of which must match a value of the claim Name; for
	// kind Claim.
	Values []string `json:"values,omitempty"`
	// All are the subjects that must all match; for kind AllOf.
	All []Subject `json:"all,omitempty"`
}
