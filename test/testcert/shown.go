// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testcert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// Shown is the certificate that a server shows on a connection in direct TLS, to a
// client that names a protocol. Nobody says that it is to be trusted. The connection
// is closed.
func Shown(ctx context.Context, conn net.Conn, protocol string) (*x509.Certificate, error) {
	defer conn.Close()
	session := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}, InsecureSkipVerify: true})
	if err := session.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return session.ConnectionState().PeerCertificates[0], nil
}
