// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"encoding/json"

	"github.com/doorward/doorward/api/v1alpha1"
)

// maxActors bounds a chain of actors, as proxies do.
const maxActors = 8

// delegate has an actor act for the subject (RFC 8693, section 4.1): its claim act goes
// before those that the subject's claims hold already. The result ends with the earlier of
// the two proofs.
func delegate(subject, actor *proof) (*proof, error) {
	if actor.DerivedFrom != "" {
		// Its revocation would have to end what it was used for, too.
		return nil, refuse(codeInvalidGrant, "actor_token: it is a gateway token: the actor has to come with a token of its own issuer")
	}
	if actor.Depth > 0 {
		return nil, refuse(codeInvalidGrant, "actor_token: somebody acts for the actor itself: the actor has to come with a token of its own")
	}
	if subject.Depth >= maxActors {
		return nil, refuse(codeInvalidGrant, "subject_token: more than %d actors would act for the subject", maxActors)
	}
	if actor.Owner.Issuer == subject.Owner.Issuer && actor.Owner.Subject == subject.Owner.Subject {
		return nil, refuse(codeInvalidGrant, "actor_token: it is the subject's: nobody acts for themselves; leave actor_token out")
	}
	if err := mayAct(subject, actor); err != nil {
		return nil, err
	}
	act := map[string]any{"iss": actor.Owner.Issuer, "sub": actor.Owner.Subject}
	if before, acted := subject.Claims["act"]; acted {
		act["act"] = before
	}
	encoded, err := json.Marshal(act)
	if err != nil {
		return nil, unavailable(err)
	}
	out := *subject
	out.Claims = claims{"act": encoded}
	for name, value := range subject.Claims {
		if name != "act" {
			out.Claims[name] = value
		}
	}
	out.Actor = v1alpha1.CredentialActor{Issuer: actor.Owner.Issuer, Subject: actor.Owner.Subject}
	out.Depth = subject.Depth + 1
	out.NotAfter = earlier(subject.NotAfter, actor.NotAfter)
	return &out, nil
}

// mayAct keeps to the subject's word on who may act for it, where it has one (RFC 8693,
// section 4.4). Where it names no issuer, it means one of the subject's own: two issuers
// may give one sub to two parties.
func mayAct(of, actor *proof) error {
	raw, named := of.Claims["may_act"]
	if !named {
		return nil
	}
	var party claims
	_ = json.Unmarshal(raw, &party) // what is no object names nobody
	subject, err := party.text("sub")
	issuer := of.Owner.Issuer
	if err == nil && party["iss"] != nil {
		issuer, err = party.text("iss")
	}
	if err != nil || subject != actor.Owner.Subject || issuer != actor.Owner.Issuer {
		return refuse(codeInvalidGrant, "actor_token: the subject's claim may_act names another actor")
	}
	return nil
}
