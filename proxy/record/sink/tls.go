// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS is how a destination is verified and how the proxy proves itself to it.
type TLS struct {
	// Disabled sends records in the clear. Nothing but TLS verified in full is
	// used otherwise.
	Disabled bool
	// ServerName is the name in the destination's certificate; empty means the
	// host that is dialled.
	ServerName string
	// CA is a PEM bundle; empty means the system's roots.
	CA string
	// Certificate and Key are a PEM client certificate; empty means none.
	Certificate, Key []byte
}

// Config returns the settings as crypto/tls wants them; nil where TLS is
// disabled.
func (t TLS) Config() (*tls.Config, error) {
	if t.Disabled {
		return nil, nil //nolint:nilnil // nil is tls.Config's own word for "no TLS"
	}
	config := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("certificate authorities hold no PEM certificate")
		}
	}
	if len(t.Certificate) > 0 || len(t.Key) > 0 {
		pair, err := tls.X509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate not usable: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
