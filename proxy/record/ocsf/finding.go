// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ocsf

import "github.com/doorward/doorward/proxy/record"

// findingType is the word of all findings that are somebody at a target who did
// not come through a proxy.
const findingType = "Access outside the gateway"

// sharedType is the word of all findings that are credentials used from several places.
const sharedType = "Shared credential"

// found makes a finding of a login that no proxy made: for certain where it has
// the stored credential's role, else for somebody to look at.
func (e *event) found(d *record.Document) {
	e.class(detectionFinding, named{1, "Create"})
	e.status(named{1, "New"})
	role, login, target := attribute(d, "role"), attribute(d, "login"), attribute(d, "target")
	e.severity(informational)
	if attribute(d, "ownRole") == "true" {
		e.severity(high)
	}
	connection := connectionEntity(d)
	e.FindingInfo = &findingInfo{
		// The same login, found by several proxies, is one finding.
		UID: connection.UID + "/" + target + "/" + login, Title: "Login at the target of " + connection.Name + " that no proxy made",
		Desc: d.Reason, Types: []string{findingType},
	}
	who := nobody()
	if role != "" {
		who.Name = role
	}
	found := evidence{Actor: &actor{User: who}, SrcEndpoint: someEndpoint(d)}
	if target != "" {
		found.DstEndpoint = endpointOf(target)
	}
	e.Evidences = []evidence{found}
}

// shared makes a Detection Finding of a credential that is used from several places.
func (e *event) shared(d *record.Document) {
	e.class(detectionFinding, named{1, "Create"})
	e.status(named{1, "New"})
	e.severity(medium)
	who, proof := newUser(d.Actor), ""
	if who == nil {
		who = nobody()
	}
	if d.Actor != nil {
		proof = d.Actor.ProofID
	}
	e.FindingInfo = &findingInfo{
		// All that is found of one credential is one finding.
		UID: "credential/" + proof, Title: "Credential that is used from several places", Desc: d.Reason, Types: []string{sharedType},
	}
	e.Evidences = []evidence{{Actor: &actor{User: who}, SrcEndpoint: someEndpoint(d)}}
}

// attribute returns a record's attribute of a name; empty where it has none.
func attribute(d *record.Document, name string) string {
	for _, a := range d.Attributes {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}
