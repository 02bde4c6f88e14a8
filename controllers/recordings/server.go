// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/doorward/doorward/proxy/recordings/serving"
)

// Server is the HTTPS server of recordings, on every replica of the manager.
type Server struct {
	// Listener is where it listens.
	Listener net.Listener
	// Certificate is the serving certificate at present.
	Certificate func(context.Context) (*tls.Certificate, error)
	Handler     http.Handler
}

// NeedLeaderElection has the manager run the server whether or not it leads.
func (*Server) NeedLeaderElection() bool { return false }

// Start serves until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	err := serving.Serve(ctx, s.Listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return s.Certificate(hello.Context()) },
	}, s.Handler)
	if err != nil {
		return fmt.Errorf("cannot serve recordings: %w", err)
	}
	return nil
}
