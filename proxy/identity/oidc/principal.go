// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/expression"
)

// Bounds of what is read from a token: those of the actor of an AuditSession, since a
// session that cannot be shown cannot be terminated either.
const (
	maxName       = 512
	maxGroups     = 256
	maxDelegation = 8
)

// principal makes a caller of the claims of a token that the issuer has made, on a clock
// that may differ by so much.
func (v *Verifier) principal(ctx context.Context, c claims, skew time.Duration) (identity.Principal, error) {
	none := identity.Principal{}
	if issuer, err := c.text("iss"); err != nil || issuer != v.config.IssuerURL {
		return none, fmt.Errorf("token is of another issuer: want %q", v.config.IssuerURL)
	}
	expiry, err := c.lifetime(v.now(), skew)
	if err != nil {
		return none, err
	}
	if err := c.audience(v.config.Audiences); err != nil {
		return none, err
	}
	if err := c.class(); err != nil {
		return none, err
	}
	for _, required := range v.config.RequiredClaims {
		if value, err := c.text(required.Claim); err != nil || value != required.Value {
			return none, fmt.Errorf("token lacks a required claim: want %q to be %q", required.Claim, required.Value)
		}
	}
	p := identity.Principal{Provider: v.config.Name, Issuer: v.config.IssuerURL, Method: v.method(), ExpiresAt: expiry}
	if p.Subject, err = c.text("sub"); err != nil {
		return none, err
	}
	if err := checkName(p.Subject); err != nil {
		return none, fmt.Errorf("claim %q: %w", "sub", err)
	}
	if p.Delegation, err = delegation(c["act"]); err != nil {
		return none, err
	}
	if err := c.keep(v.config.Claims, &p); err != nil {
		return none, err
	}
	if v.config.ServiceAccounts != nil {
		if err = v.config.ServiceAccounts.fill(c, &p); v.config.Review == nil {
			p.ExpiresAt = unreviewed(v.now(), p.ExpiresAt)
		}
	} else {
		err = v.fill(ctx, c, &p)
	}
	if err != nil {
		return none, err
	}
	slices.SortFunc(p.Claims, func(a, b identity.Claim) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(p.AbsentClaims)
	return p, nil
}

// fill fills in what the provider maps, and asks its rules.
func (v *Verifier) fill(ctx context.Context, c claims, p *identity.Principal) error {
	input, err := expression.Claims(c)
	if err != nil {
		return err
	}
	if err := hold(ctx, v.programs.claimRules, input); err != nil {
		return err
	}
	if err := v.names(ctx, c, input, p); err != nil {
		return err
	}
	if err := v.groups(ctx, c, input, p); err != nil {
		return err
	}
	if p.Kind, err = v.kind(ctx, c, input, len(p.Delegation) > 0); err != nil {
		return err
	}
	extra, err := v.extra(ctx, input, p)
	if err != nil {
		return err
	}
	if len(v.programs.userRules) == 0 {
		return nil
	}
	uid, err := v.uid(ctx, c, input)
	if err != nil {
		return err
	}
	return hold(ctx, v.programs.userRules, input.Of(expression.User{Username: p.UserName, UID: uid, Groups: p.Groups, Extra: extra}))
}

// names fills in user name and Kubernetes name.
func (v *Verifier) names(ctx context.Context, c claims, input *expression.Input, p *identity.Principal) error {
	raw, source, err := c.valueOf(ctx, v.config.UsernameClaim, v.programs.username, input)
	if err != nil {
		return err
	}
	if err := checkUserName(raw); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if v.config.UsernameClaim == emailClaim && string(c["email_verified"]) != "true" {
		return errors.New("the e-mail address is not verified: want claim \"email_verified\" to be true")
	}
	p.UserName = v.config.UsernamePrefix + raw
	if err := checkReserved(p.UserName); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	prefix := v.config.KubernetesUsernamePrefix
	if prefix == nil {
		return nil
	}
	if v.programs.kubernetes != nil {
		source = v.programs.kubernetes.Field()
		if raw, err = v.programs.kubernetes.Text(ctx, input); err != nil {
			return err
		}
		if err := checkUserName(raw); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	p.KubernetesUser = *prefix + raw
	if err := checkReserved(p.KubernetesUser); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

// valueOf is a claim that must be a string, or the value of an expression, with what it
// is called in errors.
func (c claims) valueOf(ctx context.Context, claim string, program *expression.Expression, input *expression.Input) (value, source string, err error) {
	if program != nil {
		value, err = program.Text(ctx, input)
		return value, program.Field(), err
	}
	value, err = c.text(claim)
	return value, fmt.Sprintf("claim %q", claim), err
}

// groups fills in the groups. A group that cannot be read refuses the token: left out,
// it might be the one that a Deny rule names.
func (v *Verifier) groups(ctx context.Context, c claims, input *expression.Input, p *identity.Principal) error {
	groups, source, err := []string(nil), "", error(nil)
	switch {
	case v.programs.groups != nil:
		source = v.programs.groups.Field()
		groups, err = v.programs.groups.List(ctx, input)
	case v.config.GroupsClaim != "":
		source = fmt.Sprintf("claim %q", v.config.GroupsClaim)
		groups, err = c.list(v.config.GroupsClaim)
	}
	if err != nil {
		return err
	}
	if len(groups) > maxGroups {
		return fmt.Errorf("%s: too many groups: %d, at most %d are allowed", source, len(groups), maxGroups)
	}
	for _, group := range groups {
		if err := checkName(group); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		group = v.config.GroupsPrefix + group
		if err := checkReserved(group); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		p.Groups = append(p.Groups, group)
	}
	slices.Sort(p.Groups)
	p.Groups = slices.Compact(p.Groups)
	return nil
}

// extra keeps the provider's extra among the claims, also the names of those that the
// caller lacks, and returns them for its rules.
func (v *Verifier) extra(ctx context.Context, input *expression.Input, p *identity.Principal) (map[string][]string, error) {
	all := make(map[string][]string, len(v.programs.extra))
	for _, extra := range v.programs.extra {
		values, err := extra.List(ctx, input)
		if err != nil {
			return nil, err
		}
		if len(values) == 0 {
			p.AbsentClaims = append(p.AbsentClaims, extra.key)
			continue
		}
		if len(values) > maxValues {
			return nil, fmt.Errorf("%s: too many values: %d, at most %d are allowed", extra.Field(), len(values), maxValues)
		}
		for _, value := range values {
			if err := checkKept(value); err != nil {
				return nil, fmt.Errorf("%s: %w", extra.Field(), err)
			}
		}
		slices.Sort(values)
		all[extra.key] = slices.Compact(values)
		p.Claims = append(p.Claims, identity.Claim{Name: extra.key, Values: all[extra.key]})
	}
	return all, nil
}

// uid is what rules about users see; "" where nothing makes it.
func (v *Verifier) uid(ctx context.Context, c claims, input *expression.Input) (string, error) {
	if v.config.UIDClaim == "" && v.programs.uid == nil {
		return "", nil
	}
	uid, _, err := c.valueOf(ctx, v.config.UIDClaim, v.programs.uid, input)
	return uid, err
}

// kind is what the issuer says, else Human: nobody is taken for a person on whose
// behalf another acts, whatever the issuer says.
func (v *Verifier) kind(ctx context.Context, c claims, input *expression.Input, delegated bool) (identity.Kind, error) {
	if v.programs.kind == nil && (v.config.KindClaim == "" || !c.has(v.config.KindClaim)) {
		if delegated {
			return identity.Agent, nil
		}
		return identity.Human, nil
	}
	text, source, err := c.valueOf(ctx, v.config.KindClaim, v.programs.kind, input)
	if err != nil {
		return "", err
	}
	switch kind := identity.Kind(text); {
	case kind == identity.Human && delegated:
		return identity.Agent, nil
	case kind == identity.Human, kind == identity.Workload, kind == identity.Agent:
		return kind, nil
	default:
		return "", fmt.Errorf("%s: want %s, %s or %s: %q", source,
			identity.Human, identity.Workload, identity.Agent, identity.Shorten(text))
	}
}

// delegation reads the chain of actors (RFC 8693 section 4.1): the current
// actor first, then those it acts through.
func delegation(raw json.RawMessage) ([]identity.Actor, error) {
	var chain []identity.Actor
	for len(raw) > 0 {
		var act claims
		if err := json.Unmarshal(raw, &act); err != nil || act == nil {
			return nil, errors.New("claim \"act\" is no object")
		}
		if len(chain) == maxDelegation {
			return nil, fmt.Errorf("claim \"act\": more than %d actors", maxDelegation)
		}
		subject, err := act.text("sub")
		if err != nil {
			return nil, fmt.Errorf("claim \"act\": %w", err)
		}
		actor := identity.Actor{Subject: subject}
		if act.has("iss") {
			if actor.Issuer, err = act.text("iss"); err != nil {
				return nil, fmt.Errorf("claim \"act\": %w", err)
			}
		}
		if err := errors.Join(checkName(actor.Subject), checkLength(actor.Issuer), checkPrintable(actor.Issuer)); err != nil {
			return nil, fmt.Errorf("claim \"act\": %w", err)
		}
		chain = append(chain, actor)
		raw = act["act"]
	}
	return chain, nil
}
