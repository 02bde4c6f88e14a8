// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// maxPooled bounds the Verifiers that a Pool keeps.
const maxPooled = 64

// Pool makes Verifiers and hands out the same one for the same Config, so that
// a new configuration elsewhere does not forget the keys of an issuer that is
// away just then. It is safe for concurrent use.
type Pool struct {
	fetches *group

	mu    sync.Mutex // guards all below
	made  map[string]*Verifier
	order []string // least recently asked for first
}

// NewPool makes a Pool whose Verifiers fetch keys until Close or the end of ctx.
func NewPool(ctx context.Context) *Pool {
	return &Pool{fetches: newGroup(ctx), made: map[string]*Verifier{}}
}

// Chain makes the Verifier of several providers. Those of one issuer are told
// apart by the audience of a token, so that a common one is an error.
func (p *Pool) Chain(configs []Config) (*identity.Chain, error) {
	providers := map[string]siblings{}
	for _, config := range configs {
		if other := providers[config.IssuerURL].sharing(config.Audiences); other != "" {
			return nil, fmt.Errorf("invalid identity providers: %q and %q have the same issuer and a common audience: %q", other, config.Name, config.IssuerURL)
		}
		verifier, err := p.Verifier(config)
		if err != nil {
			return nil, err
		}
		providers[config.IssuerURL] = append(providers[config.IssuerURL], sibling{name: config.Name, audiences: config.Audiences, verifier: verifier})
	}
	verifiers := make(map[string]identity.Verifier, len(providers))
	for issuer, all := range providers {
		verifiers[issuer] = all
	}
	return identity.NewChain(verifiers)
}

// Verifier finds or makes a Verifier and drops what is beyond the bound. One
// that is dropped while in use goes on working. Those that keep other claims only
// share what they know of the issuer: a policy that begins to look at one must not
// need the issuer.
func (p *Pool) Verifier(config Config) (*Verifier, error) {
	if err := config.validateClaims(); err != nil {
		return nil, fmt.Errorf("invalid identity provider: %q: %w", config.Name, err)
	}
	kept := config.clone().Claims
	config.Claims = nil
	fingerprint, err := config.fingerprint()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v, known := p.made[fingerprint]
	if !known {
		if v, err = newVerifier(p.fetches, config, time.Now); err != nil {
			return nil, err
		}
		p.made[fingerprint] = v
	}
	p.order = append(slices.DeleteFunc(p.order, func(other string) bool { return other == fingerprint }), fingerprint)
	for len(p.order) > maxPooled {
		delete(p.made, p.order[0])
		p.order = p.order[1:]
	}
	if len(kept) == 0 {
		return v, nil
	}
	own := *v
	own.config.Claims = kept
	return &own, nil
}

// Close ends the fetches of all Verifiers and waits for them. Verifiers go on
// with the keys they have.
func (p *Pool) Close() { p.fetches.close() }
