// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/doorward/doorward/proxy/identity"
)

// What one host may ask for tokens that nobody knows yet, of the queriesPerSec of all, and
// how many hosts are told apart.
const (
	hostReviews   = 10
	hostBurst     = 20
	maxReviewHost = 4096
)

// TokenReviews asks the API server about tokens of callers. Whoever sends tokens that are
// none waits for a share of his own: he keeps nobody else from being proven, nor live
// sessions from being reviewed again.
type TokenReviews struct {
	strangers, known *Client
	log              logr.Logger
	tell             rate.Sometimes

	mu    sync.Mutex // guards hosts
	hosts map[string]*rate.Limiter
	// crowd is the share of hosts beyond those that are told apart.
	crowd *rate.Limiter
}

// NewTokenReviews makes what asks: by one client about callers nobody knows yet, by
// another about those of live sessions. See identity.WithClient.
func NewTokenReviews(strangers, known *Client, log logr.Logger) *TokenReviews {
	return &TokenReviews{
		strangers: strangers, known: known, log: log, tell: rate.Sometimes{First: 1, Interval: 10 * time.Second},
		hosts: map[string]*rate.Limiter{}, crowd: rate.NewLimiter(hostReviews, hostBurst),
	}
}

// ReviewToken implements oidc.TokenReviewer. What the API server's authenticators say of a
// token that they refuse is for those who run the proxy, and logged now and then: it may
// name what callers must not see.
func (r *TokenReviews) ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error) {
	client, host := r.known, identity.ClientOf(ctx)
	if host != "" {
		client = r.strangers
		if err := r.share(host).Wait(ctx); err != nil {
			return nil, fmt.Errorf("too many tokens of this client's host wait for their review: %w", err)
		}
	}
	status, err := client.ReviewToken(ctx, token, audiences)
	if err != nil || status.Error == "" {
		return status, err
	}
	r.tell.Do(func() {
		r.log.Info("The API server says why it does not take a token", "client", host, "reason", identity.Shorten(status.Error))
	})
	silent := *status
	silent.Error = ""
	if status.Authenticated {
		return nil, fmt.Errorf("the API server reviews the token and reports an error: the proxy's own log has it")
	}
	return &silent, nil
}

// share is what a host may ask. The addresses of one host of IPv6 are its network's.
func (r *TokenReviews) share(host string) *rate.Limiter {
	if address, err := netip.ParseAddr(host); err == nil {
		address = address.Unmap().WithZone("")
		if host = address.String(); address.Is6() {
			host = netip.PrefixFrom(address, 64).Masked().String()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if limiter := r.hosts[host]; limiter != nil {
		return limiter
	}
	if len(r.hosts) >= maxReviewHost {
		for name, limiter := range r.hosts {
			if limiter.Tokens() >= hostBurst { // as good as new
				delete(r.hosts, name)
			}
		}
	}
	if len(r.hosts) >= maxReviewHost {
		return r.crowd
	}
	limiter := rate.NewLimiter(hostReviews, hostBurst)
	r.hosts[host] = limiter
	return limiter
}
