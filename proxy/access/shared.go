// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// SharedCredentials is how many times a credential was found to be used from several places
// in what concerns this gate.
func (g *Gate) SharedCredentials() uint64 { return g.findings.Load() }

// name is namespace/name of the Connection.
func (g *Gate) name() string { return g.config.Connection.Namespace + "/" + g.config.Connection.Name }

// circumstances are what policies look at besides the caller.
func (c *Caller) circumstances(now time.Time) policy.Circumstances {
	at := circumstances(c.entry.client, now)
	at.SharedCredential = c.visit.Shared()
	return at
}

// note notes where the caller uses his credential. What is found of it is on record before
// anything else, and has taken effect on all sessions when note returns.
func (c *Caller) note(ctx context.Context) error {
	gate := c.entry.gate
	p := &c.principal
	visit, finding := gate.config.Sharing.Note(sharing.Use{
		Proof: p.ProofID, Until: p.ExpiresAt, Bound: p.BoundTo != "", By: gate.name(),
		Client: circumstances(c.entry.client, time.Now()).Client,
	})
	c.visit = visit
	return c.found(ctx, finding)
}

// found puts a finding about the caller's credential on record, and has it take effect. Nil
// is none.
func (c *Caller) found(ctx context.Context, finding *sharing.Finding) error {
	if finding == nil {
		return nil
	}
	gate, p := c.entry.gate, &c.principal
	gate.findings.Add(1)
	event := sharedEvent(p, finding)
	event.ClientAddress, event.Connection, event.Revision = c.entry.client, recordConnection(c.proven.snapshot.Connection), c.proven.snapshot.Revision
	// A caller who has left was there all the same.
	_, err := gate.config.Log.Append(context.WithoutCancel(ctx), event)
	// What policies take away is gone also where that cannot be recorded.
	gate.config.Sharing.Tell(finding)
	if err != nil {
		return gate.unrecorded("the record could not be written, so nothing may pass", err)
	}
	return nil
}

// sharedEvent is the record of a finding, but for where it concerns whom.
func sharedEvent(who *identity.Principal, f *sharing.Finding) record.Event {
	event := record.Event{
		Type: record.SharedCredential, Actor: who,
		Reason:     "the credential is used from several places: " + strings.Join(f.Networks, ", "),
		Attributes: []record.Attribute{{Name: "networks", Value: strings.Join(f.Networks, ",")}},
	}
	if len(f.Sessions) > 0 {
		event.Attributes = append(event.Attributes, record.Attribute{Name: "sessions", Value: strings.Join(f.Sessions, ",")})
	}
	return event
}

// shared acts on a finding: it is on record for each session that goes on with the
// credential, and those that rest on rights which policies now take away end.
func (g *Gate) shared(f *sharing.Finding) {
	var own []*Grant
	for _, grant := range g.live() {
		if grant.principal.ProofID == f.Proof {
			own = append(own, grant)
		}
	}
	if len(own) == 0 {
		return
	}
	if f.By != g.name() {
		g.findings.Add(1)
	}
	g.applying.Lock()
	defer g.applying.Unlock()
	for _, grant := range own {
		// Whoever opens one looks for himself when its start is on record.
		if grant.begun.Load() {
			grant.recordShared(f)
		}
		if grant.ctx.Err() != nil {
			continue
		}
		if err := grant.judgeShared(context.Background()); err != nil {
			grant.End(err)
		}
	}
}

// recordShared puts on record that a session goes on with a shared credential, unless it is
// over. Nothing waits for it: where the log is broken, nothing else passes either.
func (g *Grant) recordShared(f *sharing.Finding) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.toldShared.Store(true)
	event := sharedEvent(&g.principal, f)
	event.Session, event.ClientAddress, event.Connection = g.id, g.client, recordConnection(g.opened.snapshot.Connection)
	event.Revision, event.Memo = g.gate.Revision(), &g.memo
	_ = g.gate.config.Log.AppendLater(event)
}

// judgeShared says why the session may not go on with a credential that was just found
// shared, or nil. One that was opened when that was known has lost nothing.
func (g *Grant) judgeShared(ctx context.Context) error {
	if err := g.judge(ctx, g.gate.state.Load()); err != nil || g.sharedAtStart {
		return err
	}
	now := g.view.Load()
	scoped, ok := now.standing.(policy.Scoped)
	if !ok {
		return nil
	}
	binds, _ := scoped.Scope()
	for _, ref := range binds {
		if deniesShared(&now.snapshot.Policies, ref) {
			return fmt.Errorf("%w: the credential of %s is used from several places, and %s denies that", ErrRevoked, g.principal.UserName, nameOf(ref))
		}
	}
	return nil
}

// deniesShared says that a policy takes rights away from those whose credential is shared.
// What a module answers depends on the operation; it is asked for each one.
func deniesShared(set *policy.Set, ref policy.RuleRef) bool {
	for i := range set.Policies {
		p := &set.Policies[i]
		if p.UID != ref.UID || p.Name != ref.Policy || p.Cluster != ref.Cluster {
			continue
		}
		conditional := false
		for j := range p.When {
			conditional = conditional || p.When[j].SharedCredential
		}
		if !conditional {
			continue
		}
		for j := range p.Rules {
			if p.Rules[j].Effect == policy.Deny {
				return true
			}
		}
	}
	return false
}
