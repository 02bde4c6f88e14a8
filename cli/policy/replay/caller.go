// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// caller is whom a record names.
type caller struct {
	principal identity.Principal
	name      string
	// lost says that a part of it is not on record as it was.
	lost bool
}

// reader reads strings back as they were, and remembers whether one was lost.
type reader struct{ lost bool }

func (r *reader) text(s string) string {
	original, ok := record.Original(s)
	r.lost = r.lost || !ok
	return original
}

func (r *reader) texts(all []string) []string {
	if all == nil {
		return nil
	}
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = r.text(s)
	}
	return out
}

// callerOf is the caller that a record names, as policies see him.
func callerOf(a *record.ActorDocument) *caller {
	var r reader
	c := &caller{name: nameOf(a), principal: identity.Principal{
		Provider: r.text(a.Provider), Issuer: r.text(a.Issuer), Subject: r.text(a.Subject), UserName: r.text(a.UserName),
		KubernetesUser: r.text(a.KubernetesUser), Groups: r.texts(a.Groups), Kind: identity.Kind(a.Kind), Method: a.Method, ExpiresAt: a.ExpiresAt,
	}}
	for _, claim := range a.Claims {
		c.principal.Claims = append(c.principal.Claims, identity.Claim{Name: r.text(claim.Name), Values: r.texts(claim.Values)})
	}
	c.principal.AbsentClaims = r.texts(a.AbsentClaims)
	for _, actor := range a.Delegation {
		c.principal.Delegation = append(c.principal.Delegation, identity.Actor{Issuer: r.text(actor.Issuer), Subject: r.text(actor.Subject)})
	}
	c.lost = r.lost
	return c
}

// nameOf is a caller for people: the user name, through whom, and who proved it.
func nameOf(a *record.ActorDocument) string {
	name := a.UserName
	if name == "" {
		name = a.Subject
	}
	for _, actor := range a.Delegation {
		name += " via " + actor.Subject
	}
	return name + " (" + a.Provider + ")"
}

// operationOf is a recorded operation as policies see it. It returns false where a part
// of it is not on record as it was.
func operationOf(o *record.OperationDocument) (policy.Operation, bool) {
	var r reader
	op := policy.Operation{Accesses: make([]policy.Access, len(o.Accesses)), Properties: r.texts(o.Properties)}
	for i, a := range o.Accesses {
		op.Accesses[i] = policy.Access{Action: r.text(a.Action), Resource: r.text(a.Resource), Indirect: a.Indirect}
	}
	return op, !r.lost
}

// clientOf is the caller's address; not valid where the proxy did not know it either.
func clientOf(d *record.Document) netip.Addr {
	address, _ := netip.ParseAddrPort(d.ClientAddress)
	return address.Addr().Unmap()
}

// accessText is one access for people.
func accessText(a policy.Access) string { return strings.TrimSpace(a.Action + " " + a.Resource) }

// accessesText is all that an operation does by itself.
func accessesText(o *record.OperationDocument) string {
	var parts []string
	for _, a := range o.Accesses {
		if text := strings.TrimSpace(a.Action + " " + a.Resource); !a.Indirect && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

// rulesText names the rules that decide.
func rulesText(d *policy.Decision) string {
	if len(d.Rules) == 0 {
		return noRule
	}
	parts := make([]string, len(d.Rules))
	for i := range d.Rules {
		parts[i] = ruleText(d.Rules[i])
	}
	return strings.Join(parts, ", ")
}

// What stands for the rule where none decides.
const (
	noRule        = "no rule allows it"
	noMask        = "no mask is for it"
	notEvaluated  = "the policies cannot be evaluated"
	rolesConflict = "policies name different roles"
)

func ruleText(r policy.RuleRef) string {
	text := r.Policy
	if r.Rule != "" {
		text += "/" + r.Rule
	}
	if r.Cluster {
		text += " (cluster)"
	}
	return text
}
