// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// ServingCertificate is the serving certificate of one Connection, as its
// Secret holds it at present. A Secret that is gone or broken leaves the former
// certificate in place.
type ServingCertificate struct {
	Client          *Client
	Namespace, Name string
	Problems        *Problems

	mu      sync.Mutex // guards current
	current *tls.Certificate
}

// Run follows the Secret until ctx ends.
func (c *ServingCertificate) Run(ctx context.Context) {
	c.Client.watchSecret(c.Namespace, servingSecret(c.Name), c.put).run(ctx)
}

func (c *ServingCertificate) put(secret *corev1.Secret) {
	if secret == nil {
		c.Problems.Set(v1alpha1.ConditionServingCertificateReady, v1alpha1.ReasonCertificateFailed,
			fmt.Sprintf("Secret %q does not exist: the manager has issued no serving certificate", servingSecret(c.Name)))
		return
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		c.Problems.Set(v1alpha1.ConditionServingCertificateReady, v1alpha1.ReasonCertificateFailed,
			fmt.Sprintf("Secret %q holds no serving certificate: %v", servingSecret(c.Name), err))
		return
	}
	c.mu.Lock()
	c.current = &pair
	c.mu.Unlock()
	c.Problems.Clear(v1alpha1.ConditionServingCertificateReady)
}

// Certificate returns the newest certificate.
func (c *ServingCertificate) Certificate() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return nil, fmt.Errorf("no serving certificate yet: Secret %q", servingSecret(c.Name))
	}
	return c.current, nil
}
