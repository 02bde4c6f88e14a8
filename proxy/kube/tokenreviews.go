// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/pace"
)

// What is asked for tokens that nobody knows yet. It is less than queriesPerSec, so that who
// has his turn does not wait once more, behind others.
const (
	strangerReviews = 40
	strangerBurst   = 80
)

// TokenReviews asks the API server about tokens of callers. Networks take turns, and their
// hosts: whoever sends tokens that are none keeps nobody else from being proven, nor live
// sessions from being reviewed again.
type TokenReviews struct {
	strangers, known *Client
	turns            *pace.Turns // of strangers
	log              logr.Logger
	tell             rate.Sometimes
}

// NewTokenReviews makes what asks: by one client about callers nobody knows yet, by
// another about those of live sessions. See identity.WithClient.
func NewTokenReviews(strangers, known *Client, log logr.Logger) *TokenReviews {
	return &TokenReviews{
		strangers: strangers, known: known, turns: pace.NewTurns(strangerReviews, strangerBurst),
		log: log, tell: rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}
}

// ReviewToken implements oidc.TokenReviewer. What the API server's authenticators say of a
// token that they refuse is for those who run the proxy, and logged now and then: it may
// name what callers must not see.
func (r *TokenReviews) ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error) {
	client, host := r.known, identity.ClientOf(ctx)
	if host != "" {
		client = r.strangers
		if err := r.turns.Wait(ctx, pace.Places(host)...); err != nil {
			return nil, fmt.Errorf("too many tokens wait for their review: try again: %w", err)
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
