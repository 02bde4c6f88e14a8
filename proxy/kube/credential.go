// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
)

// Credentials keeps the credential of one Connection in memory, as its Secret
// holds it at present: each new session gets the newest. While the API server
// is away, the last one stays.
type Credentials struct {
	client *Client
	// changed is called when the Secret was read, or is gone.
	changed func()

	// mu guards the fields below.
	mu              sync.Mutex
	namespace, name string // of the Secret that keys is about
	keys            *upstream.Keys
	why             error // why there are no keys
	turn            chan struct{}
}

// NewCredentials makes a source that knows nothing yet. It calls changed whenever Get
// may give something else than before, but for Applied.
func NewCredentials(client *Client, changed func()) *Credentials {
	return &Credentials{client: client, changed: changed, turn: make(chan struct{}, 1)}
}

// Applied tells which Secret is wanted from now on.
func (c *Credentials) Applied(s *snapshot.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespace = s.Connection.Namespace
	if c.name != s.Credential.Secret {
		c.name, c.keys = s.Credential.Secret, nil
		c.why = fmt.Errorf("the credential has not been read yet: Secret %q", c.name)
		replace(c.turn, struct{}{})
	}
}

// Run follows the Secret that is wanted until ctx ends.
func (c *Credentials) Run(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		namespace, name := c.namespace, c.name
		c.mu.Unlock()
		if name == "" {
			select {
			case <-c.turn:
			case <-ctx.Done():
			}
			continue
		}
		c.follow(ctx, namespace, name)
	}
}

// follow follows one Secret until another is wanted.
func (c *Credentials) follow(ctx context.Context, namespace, name string) {
	ctx, cancel := context.WithCancel(ctx)
	follow := c.client.watchSecret(namespace, name, func(secret *corev1.Secret) { c.put(name, secret) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow.run(ctx)
	}()
	select {
	case <-c.turn:
	case <-ctx.Done():
	}
	cancel()
	<-done
}

func (c *Credentials) put(name string, secret *corev1.Secret) {
	c.mu.Lock()
	if c.name != name {
		c.mu.Unlock()
		return
	}
	c.keys = nil
	switch {
	case secret == nil:
		c.why = fmt.Errorf("%w: %q: create it with type %s", errNoSecret, name, v1alpha1.SecretTypeCredential)
	case secret.Type != v1alpha1.SecretTypeCredential:
		c.why = fmt.Errorf("%w: %q has type %q, want %q", errWrongType, name, secret.Type, v1alpha1.SecretTypeCredential)
	default:
		keys := upstream.NewKeys(secret.Data)
		c.keys, c.why = &keys, nil
	}
	c.mu.Unlock()
	c.changed()
}

// Get returns the credential where it names the use.
func (c *Credentials) Get(ctx context.Context, use upstream.Use) (upstream.Secret, error) {
	c.mu.Lock()
	keys, why, name := c.keys, c.why, c.name
	c.mu.Unlock()
	if keys == nil {
		if why == nil {
			why = errNotWanted
		}
		return upstream.Secret{}, why
	}
	secret, err := keys.Get(ctx, use)
	if err != nil {
		return upstream.Secret{}, fmt.Errorf("secret %q: %w", name, err)
	}
	return secret, nil
}
