// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"fmt"
)

// Certificate is the proxy's client certificate at a target, with its private
// key. The zero value is none. It never prints: every formatter, encoder and
// logger sees [redacted].
type Certificate struct {
	redacted
	// A pointer, for the reason that Password gives.
	value *tls.Certificate
}

// NewCertificate reads PEM. The error holds nothing of the key.
func NewCertificate(certificate, key []byte) (Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return Certificate{}, fmt.Errorf("keys %q and %q: want a certificate and its private key in PEM: %w", fileCertificate, fileKey, err)
	}
	return Certificate{value: &pair}, nil
}

// Reveal returns the certificate and its key, for the handshake with the
// target; nil where there is none.
func (c Certificate) Reveal() *tls.Certificate { return c.value }
