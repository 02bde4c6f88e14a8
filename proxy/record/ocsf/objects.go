// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ocsf

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
)

// unknownName stands where OCSF requires a name and the record has none.
const unknownName = "Unknown"

func newMetadata(d *record.Document, version string) metadata {
	m := metadata{
		Version:      Version,
		Product:      product{Name: "Doorward", VendorName: "Doorward", Version: version},
		UID:          record.Position{LogID: d.Log, Index: d.Index}.ID(),
		EventCode:    string(d.Type),
		LogProvider:  "Doorward",
		LogName:      d.Log,
		LogVersion:   d.Schema,
		Sequence:     d.Index,
		OriginalTime: d.Time.UTC().Format(time.RFC3339Nano),
	}
	if d.Session != "" && d.OperationID != 0 {
		m.CorrelationUID = d.Session + "/" + strconv.FormatUint(d.OperationID, 10)
	}
	return m
}

func newPolicy(r record.RuleDocument) *policyObject {
	p := &policyObject{Name: r.Policy, UID: r.UID, IsApplied: true}
	if r.Generation != 0 {
		p.Version = strconv.FormatInt(r.Generation, 10)
	}
	switch {
	case r.Cluster && r.Rule != "":
		p.Desc = "rule " + r.Rule + " of a ClusterAccessPolicy"
	case r.Cluster:
		p.Desc = "ClusterAccessPolicy"
	case r.Rule != "":
		p.Desc = "rule " + r.Rule
	}
	return p
}

// newActor returns what is known of the caller; nil where that is nothing.
func newActor(d *record.Document) *actor {
	a := actor{User: newUser(d.Actor)}
	if d.Session != "" {
		a.Session = &session{UID: d.Session}
	}
	if d.Actor != nil && (d.Actor.Provider != "" || d.Actor.Issuer != "") {
		a.IDP = &idp{Name: d.Actor.Provider, Issuer: d.Actor.Issuer}
		if a.IDP.Name == "" {
			a.IDP.Name = d.Actor.Issuer
		}
	}
	if a == (actor{}) {
		return nil
	}
	return &a
}

// someActor is for classes that require an actor.
func someActor(d *record.Document) *actor {
	a := newActor(d)
	if a == nil {
		a = &actor{}
	}
	if a.User == nil && a.Session == nil {
		a.User = nobody()
	}
	return a
}

func nobody() *user { return &user{Name: unknownName, Type: unknown.name} }

func newUser(a *record.ActorDocument) *user {
	if a == nil {
		return nil
	}
	u := &user{Name: a.UserName, UID: a.Subject, UIDAlt: a.KubernetesUser}
	if u.Name == "" && u.UID == "" {
		u.Name = unknownName
	}
	kind := unknown
	switch identity.Kind(a.Kind) {
	case identity.Human:
		kind = named{1, "User"}
	case identity.Workload:
		kind = named{4, "Service"}
	default:
		if a.Kind != "" {
			kind = other(a.Kind)
		}
	}
	u.TypeID, u.Type = kind.id, kind.name
	for _, g := range a.Groups {
		u.Groups = append(u.Groups, group{Name: g})
	}
	return u
}

// newEndpoint returns the caller's address; nil where there is none.
func newEndpoint(d *record.Document) *endpoint {
	if d.ClientAddress == "" {
		return nil
	}
	return endpointOf(d.ClientAddress)
}

// endpointOf is a host:port, or else a name, as an endpoint.
func endpointOf(address string) *endpoint {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return &endpoint{IP: a.Addr().Unmap().String(), Port: int(a.Port())}
	}
	return &endpoint{Name: address}
}

// someEndpoint is for classes that require one.
func someEndpoint(d *record.Document) *endpoint {
	if e := newEndpoint(d); e != nil {
		return e
	}
	return &endpoint{Name: unknownName}
}

// connectionEntity names the Connection, which is what Doorward knows of the
// target.
func connectionEntity(d *record.Document) entity {
	if d.Connection == nil || d.Connection.Name == "" {
		return entity{Name: unknownName}
	}
	return entity{Name: d.Connection.Namespace + "/" + d.Connection.Name, UID: d.Connection.UID}
}

func authProtocol(method string) named {
	switch method {
	case "oidc":
		return named{4, "OpenID"}
	case "saml":
		return named{5, "SAML"}
	}
	return other(method)
}

// newUnmapped takes over what OCSF has no attributes for. What is large, and
// what other attributes hold, is in raw_data only.
func newUnmapped(d *record.Document) *unmapped {
	u := &unmapped{
		Session: d.Session, Connection: d.Connection, Revision: d.Revision, OperationID: d.OperationID,
		Decision: d.Decision, Approval: d.Approval, Attributes: d.Attributes, Read: d.Read, Checkpoint: d.Checkpoint, Rotation: d.Rotation,
	}
	if a := d.Actor; a != nil {
		u.Actor = &record.ActorDocument{Kind: a.Kind, Claims: a.Claims, AbsentClaims: a.AbsentClaims, Delegation: a.Delegation, Method: a.Method, Credential: a.Credential, ProvenBy: a.ProvenBy, ProofID: a.ProofID, ExpiresAt: a.ExpiresAt}
	}
	if d.Operation != nil {
		o := *d.Operation
		o.Normalized, o.NormalizedTruncated, o.ParameterText, o.ParameterTruncated = "", 0, "", 0
		u.Operation = &o
	}
	if d.Result != nil {
		r := *d.Result
		r.Response = nil
		u.Result = &r
	}
	if d.Recording != nil {
		r := *d.Recording
		r.Data = ""
		u.Recording = &r
	}
	return u
}
