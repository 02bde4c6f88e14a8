// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/x509"
	"encoding/pem"
	"time"
)

// certificates parses every certificate of a PEM text and drops the rest.
func certificates(data []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return all
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, certificate)
		}
	}
}

// unexpired keeps the certificates that are still valid.
func unexpired(data []byte, now time.Time) []byte {
	var kept []byte
	for _, certificate := range certificates(data) {
		if now.Before(certificate.NotAfter) {
			kept = append(kept, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})...)
		}
	}
	return kept
}
