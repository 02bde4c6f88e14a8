// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLSMode says how the target is proven.
type TLSMode string

// The modes. The zero value means VerifyFull.
const (
	// VerifyFull demands TLS, a certificate of a trusted CA and the right name.
	VerifyFull TLSMode = "VerifyFull"
	// Disabled sends everything in the clear.
	Disabled TLSMode = "Disabled"
)

// TLS is how a Connection wants the target to be proven.
type TLS struct {
	Mode TLSMode
	// ServerName is the name the certificate must have; the target's host
	// where empty.
	ServerName string
	// CertificateAuthorityPEM holds the CAs that are trusted instead of the
	// system's; the system's where empty.
	CertificateAuthorityPEM []byte
}

// Config makes the client configuration for one target. It is nil, without an
// error, only where Mode is Disabled.
func (t TLS) Config(target Target) (*tls.Config, error) {
	switch t.Mode {
	case Disabled:
		return nil, nil
	case VerifyFull, "":
	default:
		return nil, fmt.Errorf("invalid target TLS mode: want %s or %s: %q", VerifyFull, Disabled, t.Mode)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if config.ServerName == "" {
		config.ServerName = target.Host
	}
	if config.ServerName == "" {
		return nil, errors.New("cannot verify target: neither a server name nor a host is given")
	}
	if len(t.CertificateAuthorityPEM) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(t.CertificateAuthorityPEM) {
			return nil, errors.New("invalid target certificate authority: want at least one PEM certificate")
		}
	}
	return config, nil
}
