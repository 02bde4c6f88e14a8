// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"slices"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/proxy/policy"
)

// Asker is who asks what may be reached: whoever runs the command, with what the API
// server does not know of them.
type Asker struct {
	Cluster *genericclioptions.ConfigFlags
	// Provider is the IdentityProvider that proves the asker; empty where the API
	// server's name tells. Groups, where there are some, are instead of those that the
	// API server knows.
	Provider string
	Groups   []string
}

// Rights are what the asker may do on one Connection.
type Rights struct {
	// Connect is whether there may be a session.
	Connect policy.Effect
	// Message is what a rule says of that.
	Message string
	// Allowed and Approval are the actions that rules allow, and that they allow after
	// an approval; on some resources at least.
	Allowed, Approval []string
	// Module says that there is more that cannot be listed, such as what a module of Rego
	// decides on.
	Module bool
	// Restricted says that other rules refuse some of it; only proxies tell.
	Restricted bool
	// Err is why it is not known.
	Err error
}

// Reach says what the asker may do on the Connections of a namespace, by their names, as
// can-i does.
func (a Asker) Reach(ctx context.Context, namespace string, deps *Dependencies) (map[string]Rights, error) {
	all, _, err := loadCluster(ctx, a.Cluster, namespace, false)
	if err != nil {
		return nil, err
	}
	o := &canIOptions{source: &source{cluster: &cluster.Flags{ConfigFlags: a.Cluster}}, provider: a.Provider, groups: a.Groups}
	who, err := o.who(ctx, all)
	if err != nil {
		return nil, err
	}
	at, err := circumstances("", "")
	if err != nil {
		return nil, err
	}
	reach := map[string]Rights{}
	for i := range all.connections {
		c := &all.connections[i]
		compiled, err := all.compile(ctx, c, deps)
		if err != nil {
			reach[c.Name] = Rights{Err: err}
			continue
		}
		reach[c.Name] = compiled.rights(ctx, deps, who, at)
	}
	return reach, nil
}

func (c *compiled) rights(ctx context.Context, deps *Dependencies, who *caller, at policy.Circumstances) Rights {
	principal, err := who.principal(c.snapshot.IdentityProviders)
	if err != nil {
		return Rights{Err: err}
	}
	q := question{caller: principal, at: at}
	got, err := ask(ctx, c.engine, q)
	if err != nil {
		return Rights{Err: err}
	}
	r := Rights{Connect: got.decision.Effect, Message: got.decision.Message}
	if r.Connect == policy.Deny {
		return r
	}
	applied, err := applications(ctx, c, deps, q)
	if err != nil {
		return Rights{Err: err}
	}
	for i := range c.snapshot.Policies.Policies {
		p := &c.snapshot.Policies.Policies[i]
		r.Module = r.Module || applied[i].Applies && p.Rego != ""
		for _, rule := range p.Rules {
			switch {
			case rule.Effect == policy.Allow && applied[i].Permits:
				r.Allowed = append(r.Allowed, rule.Actions...)
			case rule.Effect == policy.RequireApproval && applied[i].Applies:
				r.Approval = append(r.Approval, rule.Actions...)
			}
		}
	}
	r.Allowed, r.Approval = distinct(r.Allowed), distinct(r.Approval)
	return r
}

func distinct(words []string) []string { return slices.Compact(slices.Sorted(slices.Values(words))) }
