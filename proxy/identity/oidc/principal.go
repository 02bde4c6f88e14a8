// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doorward/doorward/proxy/identity"
)

// Bounds of what is read from a token: those of the actor of an AuditSession, since a
// session that cannot be shown cannot be terminated either.
const (
	maxName       = 512
	maxGroups     = 256
	maxDelegation = 8
)

// principal makes a caller of the claims of a token whose signature and issuer
// are proven.
func (v *Verifier) principal(c claims) (identity.Principal, error) {
	none := identity.Principal{}
	if issuer, err := c.text("iss"); err != nil || issuer != v.config.IssuerURL {
		return none, fmt.Errorf("token is of another issuer: want %q", v.config.IssuerURL)
	}
	expiry, err := c.lifetime(v.now(), v.config.ClockSkew)
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
	p := identity.Principal{Provider: v.config.Name, Issuer: v.config.IssuerURL, Method: Method, ExpiresAt: expiry}
	if p.Subject, err = c.text("sub"); err != nil {
		return none, err
	}
	if err := checkName(p.Subject); err != nil {
		return none, fmt.Errorf("claim %q: %w", "sub", err)
	}
	if err := v.names(c, &p); err != nil {
		return none, err
	}
	if p.Delegation, err = delegation(c["act"]); err != nil {
		return none, err
	}
	if p.Kind, err = v.kind(c, len(p.Delegation) > 0); err != nil {
		return none, err
	}
	if err := c.keep(v.config.Claims, &p); err != nil {
		return none, err
	}
	return p, nil
}

// names fills in user name, Kubernetes name and groups.
func (v *Verifier) names(c claims, p *identity.Principal) error {
	raw, err := c.text(v.config.UsernameClaim)
	if err != nil {
		return err
	}
	if err := checkUserName(raw); err != nil {
		return fmt.Errorf("claim %q: %w", v.config.UsernameClaim, err)
	}
	if v.config.UsernameClaim == "email" && string(c["email_verified"]) != "true" {
		return errors.New("the e-mail address is not verified: want claim \"email_verified\" to be true")
	}
	p.UserName = v.config.UsernamePrefix + raw
	if err := checkReserved(p.UserName); err != nil {
		return fmt.Errorf("claim %q: %w", v.config.UsernameClaim, err)
	}
	if prefix := v.config.KubernetesUsernamePrefix; prefix != nil {
		p.KubernetesUser = *prefix + raw
		if err := checkReserved(p.KubernetesUser); err != nil {
			return fmt.Errorf("claim %q: %w", v.config.UsernameClaim, err)
		}
	}
	if v.config.GroupsClaim == "" {
		return nil
	}
	groups, err := c.list(v.config.GroupsClaim)
	if err != nil {
		return err
	}
	if len(groups) > maxGroups {
		return fmt.Errorf("claim %q: too many groups: %d, at most %d are allowed", v.config.GroupsClaim, len(groups), maxGroups)
	}
	// A group that cannot be read refuses the token: left out, it might be the
	// one that a Deny rule names.
	for _, group := range groups {
		if err := checkName(group); err != nil {
			return fmt.Errorf("claim %q: %w", v.config.GroupsClaim, err)
		}
		group = v.config.GroupsPrefix + group
		if err := checkReserved(group); err != nil {
			return fmt.Errorf("claim %q: %w", v.config.GroupsClaim, err)
		}
		p.Groups = append(p.Groups, group)
	}
	slices.Sort(p.Groups)
	p.Groups = slices.Compact(p.Groups)
	return nil
}

// kind is what the issuer says, else Human: nobody is taken for a person on whose
// behalf another acts.
func (v *Verifier) kind(c claims, delegated bool) (identity.Kind, error) {
	if v.config.KindClaim == "" || !c.has(v.config.KindClaim) {
		if delegated {
			return identity.Agent, nil
		}
		return identity.Human, nil
	}
	text, err := c.text(v.config.KindClaim)
	if err != nil {
		return "", err
	}
	switch kind := identity.Kind(text); kind {
	case identity.Human, identity.Workload, identity.Agent:
		return kind, nil
	default:
		return "", fmt.Errorf("claim %q: want %s, %s or %s: %q", v.config.KindClaim,
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

// checkUserName admits names with at most one "@": a second one lets the part
// that somebody else splits off be another than the issuer meant.
func checkUserName(name string) error {
	if strings.Count(name, "@") > 1 {
		return fmt.Errorf("name has more than one %q: %q", "@", identity.Shorten(name))
	}
	return checkName(name)
}

// checkName admits names that look like what they are wherever they are shown.
func checkName(name string) error {
	if name == "" || name != strings.TrimSpace(name) {
		return fmt.Errorf("name is empty or has spaces around it: %q", identity.Shorten(name))
	}
	return errors.Join(checkLength(name), checkPrintable(name))
}

func checkLength(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("name is too long: %d bytes, at most %d are allowed", len(name), maxName)
	}
	return nil
}

// checkPrintable refuses control and format characters (line ends, escapes,
// direction marks), spaces other than the plain one, and what was not UTF-8.
func checkPrintable(name string) error {
	for _, r := range name {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("name has a character that does not print: %q", identity.Shorten(name))
		}
	}
	return nil
}

// checkReserved refuses the names that Kubernetes keeps for itself, and those that a
// prefix made too long.
func checkReserved(name string) error {
	if strings.HasPrefix(name, "system:") {
		return fmt.Errorf("names that begin with %q are reserved: %q", "system:", identity.Shorten(name))
	}
	return checkLength(name)
}
