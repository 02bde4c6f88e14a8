// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// The pace at which an issuer is asked.
const (
	// refreshAfter is the age at which keys are asked for again, beside their
	// use, so that a key the issuer withdrew is soon believed no more.
	refreshAfter = 5 * time.Minute
	// waitAfter is the age from which they are not used before that was tried: where
	// nobody came for hours, the first who comes is not judged by a key of hours ago.
	waitAfter = time.Hour
	// keepFor is how long keys are believed while the issuer is away.
	keepFor = 24 * time.Hour
	// discoverAfter is the age at which the discovery document is read again.
	discoverAfter = time.Hour
	// firstBackoff doubles with each failure, up to lastBackoff.
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// unknownEvery and unknownBurst bound how often tokens that name an unknown
	// key make us ask: anybody can make such a token.
	unknownEvery = 10 * time.Second
	unknownBurst = 3
)

// errUnavailable is wrapped where a signature could not be checked, which is
// not the caller's fault.
var errUnavailable = errors.New("keys of the issuer are unavailable")

// keys are an issuer's published keys, fetched on demand and kept.
type keys struct {
	at     place
	client *http.Client
	now    func() time.Time
	// fetches runs them beside the calls that wait for them.
	fetches *group

	mu         sync.Mutex // guards all below
	known      []jose.JSONWebKey
	fetched    time.Time // of known; zero where there are none
	url        string    // of the key set
	discovered time.Time // of url
	running    *fetch
	failures   int
	failed     time.Time // of the last failure
	failure    error     // of the last fetch, nil where it succeeded
	unknown    *rate.Limiter
}

// fetch is one attempt that several callers may wait for.
type fetch struct {
	done chan struct{}
	err  error
}

func newKeys(fetches *group, at place, client *http.Client, now func() time.Time) *keys {
	return &keys{
		at: at, client: client, now: now, fetches: fetches,
		unknown: rate.NewLimiter(rate.Every(unknownEvery), unknownBurst),
	}
}

// find returns the published keys that may have signed a token: those with its
// key id, or all where it names none. An error wraps errUnavailable.
func (k *keys) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	found, wait, err := k.look(id)
	if err != nil || wait == nil {
		return found, err
	}
	select {
	case <-wait.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errUnavailable, ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found = k.withID(id)
	if len(found) == 0 && wait.err != nil {
		return nil, wait.err
	}
	return found, nil
}

// look finds keys among those known and says which fetch to wait for, if any.
func (k *keys) look(id string) ([]jose.JSONWebKey, *fetch, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if !k.fetched.IsZero() && now.Sub(k.fetched) > keepFor {
		k.known, k.fetched = nil, time.Time{}
	}
	if found := k.withID(id); len(found) > 0 {
		age := now.Sub(k.fetched)
		if age <= refreshAfter || k.resting(now) {
			return found, nil, nil
		}
		running := k.start()
		// Who comes soon after a failure need not wait for the next one.
		if age > waitAfter && (k.failures == 0 || now.Sub(k.failed) > refreshAfter) {
			return nil, running, nil
		}
		return found, nil, nil
	}
	switch {
	case k.running != nil:
		return nil, k.running, nil
	case k.resting(now):
		return nil, nil, k.failure
	case !k.fetched.IsZero() && !k.unknown.AllowN(now, 1):
		return nil, nil, k.failure
	}
	return nil, k.start(), nil
}

// resting says whether the issuer failed so recently that it is left alone.
func (k *keys) resting(now time.Time) bool {
	if k.failures == 0 {
		return false
	}
	pause := lastBackoff
	if shift := k.failures - 1; shift < 6 {
		pause = min(firstBackoff<<shift, lastBackoff)
	}
	return now.Sub(k.failed) < pause
}

func (k *keys) withID(id string) []jose.JSONWebKey {
	if id == "" {
		return k.known
	}
	var found []jose.JSONWebKey
	for _, key := range k.known {
		if key.KeyID == id {
			found = append(found, key)
		}
	}
	return found
}

// start begins a fetch unless one runs. The caller holds the lock.
func (k *keys) start() *fetch {
	if k.running != nil {
		return k.running
	}
	running := &fetch{done: make(chan struct{})}
	address := k.url
	if k.now().Sub(k.discovered) > discoverAfter {
		address = ""
	}
	if !k.fetches.run(func(ctx context.Context) { k.fetch(ctx, running, address) }) {
		running.err = fmt.Errorf("%w: issuer %q: the verifier is closed", errUnavailable, k.at.issuer)
		close(running.done)
		return running
	}
	k.running = running
	return running
}

// fetch learns the keys and publishes the outcome.
func (k *keys) fetch(ctx context.Context, running *fetch, address string) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	found, discovered, err := download(ctx, k.client, k.at, address)

	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(running.done)
	k.running = nil
	if err != nil {
		// An address that no longer answers may have moved.
		k.discovered = time.Time{}
		k.failures++
		k.failed = k.now()
		k.failure = fmt.Errorf("%w: issuer %q: %w", errUnavailable, k.at.issuer, err)
		running.err = k.failure
		return
	}
	if address == "" {
		k.url, k.discovered = discovered, k.now()
	}
	k.known, k.fetched, k.failures, k.failure = found, k.now(), 0, nil
}

// call is the key set of one verification, as go-oidc wants it. It keeps the
// reason where keys could not be had, which go-oidc's error does not wrap.
type call struct {
	keys       *keys
	algorithms []jose.SignatureAlgorithm
	failure    error
}

// VerifySignature checks a compact JWS by the issuer's published keys. Keys that
// the token brings along, or points to, are not looked at.
func (c *call) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, c.algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errors.New("not a signed token")
	}
	header := signed.Signatures[0].Header
	candidates, err := c.keys.find(ctx, header.KeyID)
	if err != nil {
		c.failure = err
		return nil, err
	}
	for _, key := range candidates {
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key of the issuer made this signature")
}
