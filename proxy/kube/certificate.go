// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/hostkey"
)

// ServingCertificate is the serving certificate of one Connection, and the SSH host
// keys of one whose protocol uses them, as its Secret holds them at present. A Secret
// that is gone or broken leaves the former ones in place.
type ServingCertificate struct {
	Client          *Client
	Namespace, Name string
	Problems        *Problems
	// NeedHostKeys says whether host keys that are missing are a problem; nil where they
	// never are.
	NeedHostKeys func() bool

	mu       sync.Mutex // guards what follows
	current  *tls.Certificate
	hostKeys []ssh.Signer
	// wrong is what is wrong with the Secret, wrongHosts with its host keys; both are
	// empty until it was looked at.
	wrong, wrongHosts string
}

// Run follows the Secret until ctx ends.
func (c *ServingCertificate) Run(ctx context.Context) {
	c.Client.watchSecret(c.Namespace, servingSecret(c.Name), c.put).run(ctx)
}

func (c *ServingCertificate) put(secret *corev1.Secret) {
	c.take(secret)
	c.Report()
}

// take keeps what is good of a Secret, nil for none.
func (c *ServingCertificate) take(secret *corev1.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := servingSecret(c.Name)
	if secret == nil {
		c.wrong = fmt.Sprintf("Secret %q does not exist: the manager has issued no serving certificate", name)
		return
	}
	c.wrong, c.wrongHosts = "", ""
	if pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
		c.wrong = fmt.Sprintf("Secret %q holds no serving certificate: %v", name, err)
	} else {
		c.current = &pair
	}
	if keys, err := hostkey.Parse(secret.Data[hostkey.PrivateKey], secret.Data[hostkey.Certificate]); err != nil {
		c.wrongHosts = fmt.Sprintf("Secret %q holds no SSH host key: %v", name, err)
	} else {
		c.hostKeys = keys
	}
}

// Report tells of what is wrong. It is called again where the need of host keys may have
// changed.
func (c *ServingCertificate) Report() {
	c.mu.Lock()
	wrong, looked := c.wrong, c.wrong != "" || c.current != nil
	if wrong == "" && c.NeedHostKeys != nil && c.NeedHostKeys() {
		wrong = c.wrongHosts
	}
	c.mu.Unlock()
	switch {
	case wrong != "":
		c.Problems.Set(v1alpha1.ConditionServingCertificateReady, v1alpha1.ReasonCertificateFailed, wrong)
	case looked:
		c.Problems.Clear(v1alpha1.ConditionServingCertificateReady)
	}
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

// HostKeys returns the newest SSH host keys, as hostkey.Parse.
func (c *ServingCertificate) HostKeys() ([]ssh.Signer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hostKeys == nil {
		return nil, fmt.Errorf("no SSH host key yet: Secret %q", servingSecret(c.Name))
	}
	return c.hostKeys, nil
}
