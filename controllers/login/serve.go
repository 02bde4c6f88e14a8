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
	"net/url"
	"os"
	"sync"
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

// certificateFresh is how long a serving certificate is shown before it is looked at again.
const certificateFresh = time.Minute

// Start serves until the context ends.
func (p *Portal) Start(ctx context.Context) error {
	if p.serving.authority != nil {
		if err := ca.Refused(p.serving.authority.Constraints(), []string{p.url.Hostname()}); err != nil {
			return fmt.Errorf("no certificate for --login-url: %w, or give --login-certificate and --login-key", err)
		}
	} else if _, err := p.serving.certificate(ctx); err != nil {
		return err
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
				return p.serving.certificate(hello.Context())
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

// serving is the certificate that the portal shows.
type serving struct {
	settings  Settings
	host      string
	authority CertificateAuthority
	now       func() time.Time
	log       logr.Logger

	mu       sync.Mutex // guards the rest
	shown    *tls.Certificate
	pair     ca.Pair
	lookedAt time.Time
}

func newServing(s Settings, at *url.URL, authority CertificateAuthority, now func() time.Time, log logr.Logger) (*serving, error) {
	v := &serving{settings: s, host: at.Hostname(), now: now, log: log}
	if s.CertificateFile == "" {
		if authority == nil {
			return nil, errors.New("cannot serve logins: there is neither a certificate nor an authority")
		}
		v.authority = authority
	}
	return v, nil
}

// certificate is the one to show. One that was there is shown on where there is no new one.
func (v *serving) certificate(ctx context.Context) (*tls.Certificate, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if v.shown != nil && now.Sub(v.lookedAt) < certificateFresh {
		return v.shown, nil
	}
	pair, err := v.find(ctx, now)
	if err == nil {
		var made tls.Certificate
		if made, err = tls.X509KeyPair(pair.Certificate, pair.Key); err == nil {
			v.shown, v.pair = &made, pair
		}
	}
	v.lookedAt = now
	if v.shown == nil {
		return nil, fmt.Errorf("no certificate for the login portal: %w", err)
	}
	if err != nil {
		v.log.Error(err, "Cannot renew the certificate of the login portal, and shows the one it has")
	}
	return v.shown, nil
}

func (v *serving) find(ctx context.Context, now time.Time) (ca.Pair, error) {
	if v.authority == nil {
		certificate, err := os.ReadFile(v.settings.CertificateFile)
		if err != nil {
			return ca.Pair{}, err
		}
		key, err := os.ReadFile(v.settings.KeyFile)
		return ca.Pair{Certificate: certificate, Key: key}, err
	}
	state, err := v.authority.State(ctx)
	if err != nil {
		return ca.Pair{}, err
	}
	names := []string{v.host}
	if !ca.Renew(v.pair, names, state.Bundle(), now) {
		return v.pair, nil
	}
	signer, err := ca.Load(state.Current)
	if err != nil {
		return ca.Pair{}, err
	}
	return signer.Issue(names, now)
}
