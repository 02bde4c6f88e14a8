// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/controllers/ca"
)

// Bounds of a connection, and of their number.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 15 * time.Second
	writeTimeout    = 45 * time.Second
	idleTimeout     = 30 * time.Second
	shutdownTimeout = 10 * time.Second
	maxConnections  = 1024
	// maxOfHost is how many connections of one host are open at a time.
	maxOfHost = 32
)

// Start serves until the context ends.
func (p *Portal) Start(ctx context.Context) error {
	if p.serving.authority != nil {
		if err := ca.Refused(p.serving.authority.Constraints(), []string{p.url.Hostname()}); err != nil {
			return fmt.Errorf("no certificate for --login-url: %w, or give --login-certificate and --login-key", err)
		}
	} else if err := p.serving.load(ctx, p.now()); err != nil {
		return fmt.Errorf("no certificate for the login portal: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", p.options.Address)
	if err != nil {
		return fmt.Errorf("cannot listen for logins: %w", err)
	}
	return p.Serve(ctx, listener)
}

// NeedLeaderElection makes every manager run Start.
func (*Portal) NeedLeaderElection() bool { return false }

// Serve serves on a listener until the context ends, and closes it.
func (p *Portal) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: p.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: stdlog.New(quiet{p.log}, "", 0),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return p.serving.show(hello.Context())
			},
		},
	}
	bounded := newBoundedListener(listener, p.trusted)
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(bounded, "", "") }()
	p.log.Info("Login portal serves", "url", p.origin(), "address", listener.Addr().String())
	select {
	case err := <-ended:
		return fmt.Errorf("login portal ended: %w", err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("login portal ended: %w", err)
	}
	return nil
}

// quiet logs what net/http says of connections, such as that of a port scan, for those who
// debug.
type quiet struct{ log logr.Logger }

func (q quiet) Write(text []byte) (int, error) {
	q.log.V(4).Info("Connection to the login portal", "message", describe(string(text)))
	return len(text), nil
}
