// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	caller "github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
)

// actorOf is the form of an actor that the list files keep.
func actorOf(p *caller.Principal) *record.ActorDocument {
	if p == nil {
		return nil
	}
	a := &record.ActorDocument{
		Provider: p.Provider, Issuer: p.Issuer, Subject: p.Subject, UserName: p.UserName, KubernetesUser: p.KubernetesUser,
		Groups: p.Groups, Kind: string(p.Kind), AbsentClaims: p.AbsentClaims, Method: p.Method, ExpiresAt: p.ExpiresAt,
		Credential: p.Credential.ID, ProvenBy: p.Credential.ProvenBy,
	}
	for _, c := range p.Claims {
		a.Claims = append(a.Claims, record.ClaimDocument(c))
	}
	for _, d := range p.Delegation {
		a.Delegation = append(a.Delegation, record.ActorDocument{Issuer: d.Issuer, Subject: d.Subject})
	}
	return a
}

// principal is the actor for a record that stands in for one that the crash
// prevented. Text that was made visible in the record it comes from is made
// visible again, so odd names have their backslashes doubled.
func (u *underWay) principal() *caller.Principal {
	a := u.Actor
	if a == nil {
		return nil
	}
	p := &caller.Principal{
		Provider: a.Provider, Issuer: a.Issuer, Subject: a.Subject, UserName: a.UserName, KubernetesUser: a.KubernetesUser,
		Groups: a.Groups, Kind: caller.Kind(a.Kind), AbsentClaims: a.AbsentClaims, Method: a.Method, ExpiresAt: a.ExpiresAt,
		Credential: caller.Issued{ID: a.Credential, ProvenBy: a.ProvenBy},
	}
	for _, c := range a.Claims {
		p.Claims = append(p.Claims, caller.Claim(c))
	}
	for _, d := range a.Delegation {
		p.Delegation = append(p.Delegation, caller.Actor{Issuer: d.Issuer, Subject: d.Subject})
	}
	return p
}
