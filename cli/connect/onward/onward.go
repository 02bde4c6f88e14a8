// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package onward is what a local port of "kubectl doorward connect --listen" needs to
// reach a proxy, whatever its protocol.
package onward

import (
	"context"
	"crypto/x509"
)

// Way leads to a proxy.
type Way struct {
	// Host is the name in the proxy's certificate, and Authorities sign it; nil where clients
	// check that themselves.
	Host        string
	Authorities *x509.CertPool
	// Address is where to dial now, as host:port.
	Address func(ctx context.Context) (string, error)
	// Token is one that is good now.
	Token func(ctx context.Context) (string, error)
}
