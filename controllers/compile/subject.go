// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	verifiers "github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// subjectFault says which subject names an IdentityProvider that is not there, or is of
// a kind that this manager does not know.
func subjectFault(p *written, world World) *fault {
	f := subjectsFault(p.subjects, "spec.subjects", world)
	for i := 0; f == nil && i < len(p.masks); i++ {
		f = subjectsFault(p.masks[i].Exempt, fmt.Sprintf("spec.masks[%d].exempt", i), world)
	}
	return f
}

func subjectsFault(all []v1alpha1.Subject, path string, world World) *fault {
	for i := range all {
		if f := oneSubjectFault(&all[i], fmt.Sprintf("%s[%d]", path, i), world); f != nil {
			return f
		}
	}
	return nil
}

func oneSubjectFault(s *v1alpha1.Subject, path string, world World) *fault {
	kinds := policy.SubjectKinds()
	parts := []v1alpha1.SubjectKind{s.Kind}
	for _, part := range s.AllOf {
		parts = append(parts, part.Kind)
	}
	for _, kind := range parts {
		if err := oneOf("kind of subject", string(kind), kinds); err != nil {
			return &fault{v1alpha1.ReasonInvalid, fmt.Errorf("%s: %w", path, err)}
		}
	}
	// Absent would be any. Admission sees to it; what was stored otherwise must not be wider.
	if s.IdentityProvider == "" {
		return &fault{v1alpha1.ReasonInvalid, fmt.Errorf("%s: identityProvider is needed: name one, or write \"*\" for any", path)}
	}
	name := s.RequiredProvider()
	if name == "" || slices.ContainsFunc(world.Providers, func(idp v1alpha1.IdentityProvider) bool { return idp.Name == name }) {
		return nil
	}
	names := make([]string, 0, len(world.Providers))
	for i := range world.Providers {
		names = append(names, world.Providers[i].Name)
	}
	return &fault{v1alpha1.ReasonReferenceNotFound, fmt.Errorf("%s: no IdentityProvider is named %q%s: create it or correct the name",
		path, name, didYouMean(name, names))}
}

func compileSubjects(all []v1alpha1.Subject) []policy.Subject {
	subjects := make([]policy.Subject, 0, len(all))
	for i := range all {
		s := &all[i]
		subject := single(s.Kind, s.Name, s.Claim)
		subject.Provider = s.RequiredProvider()
		for j := range s.AllOf {
			part := &s.AllOf[j]
			subject.All = append(subject.All, single(part.Kind, part.Name, part.Claim))
		}
		subjects = append(subjects, subject)
	}
	return subjects
}

func single(kind v1alpha1.SubjectKind, name string, claim *v1alpha1.SubjectClaimValues) policy.Subject {
	subject := policy.Subject{Kind: string(kind), Name: name}
	if claim != nil {
		subject.Name, subject.Values = claim.Name, claim.Values
	}
	return subject
}

// nameClaims has each provider keep the claims that policies look at.
func nameClaims(providers []snapshot.IdentityProvider, set policy.Set) {
	for i := range providers {
		named := map[string]bool{}
		for j := range set.Policies {
			p := &set.Policies[j]
			claimsOf(p.Subjects, providers[i].Name, named)
			if p.Concerns(providers[i].Name) {
				for _, name := range p.Claims {
					named[name] = true
				}
			}
			for k := range p.Masks {
				claimsOf(p.Masks[k].Exempt, providers[i].Name, named)
			}
		}
		for _, kept := range verifiers.Kept(&providers[i]) {
			delete(named, kept)
		}
		if len(named) > 0 {
			providers[i].Claims = sortedKeys(named)
		}
	}
}

// fewClaims refuses what no proxy would take.
func fewClaims(providers []snapshot.IdentityProvider) error {
	for i := range providers {
		if n := len(providers[i].Claims); n > identity.MaxClaims {
			return fmt.Errorf("the policies of this Connection look at %d claims of IdentityProvider %q, at most %d can be kept: name fewer in subjects of kind Claim and in modules",
				n, providers[i].Name, identity.MaxClaims)
		}
	}
	return nil
}

func claimsOf(subjects []policy.Subject, provider string, named map[string]bool) {
	for i := range subjects {
		s := &subjects[i]
		if s.Provider != "" && s.Provider != provider {
			continue
		}
		if s.Kind == policy.Claim {
			named[s.Name] = true
		}
		claimsOf(s.All, provider, named)
	}
}
