// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package profiles serves Go's profiles of a command, to whoever is on this
// machine and nobody else.
package profiles

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"
)

// Check says whether profiles may be served at an address, nil where it is
// empty. They show memory, so only who is on this machine may reach them: the
// address must be a loopback one as a number, since a name may come to mean
// another.
func Check(address string) error {
	if address == "" {
		return nil
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !parsed.Addr().IsLoopback() {
		return fmt.Errorf("invalid --pprof-address: want a loopback address and a port, such as 127.0.0.1:6060: %q", address)
	}
	return nil
}

// Listen listens for those who want profiles; nil where nobody may.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // off
	}
	if err := Check(address); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for profiles: %w", err)
	}
	return listener, nil
}

// Serve serves profiles until ctx ends.
func Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	// A profile takes as long as was asked for, so writing has no bound.
	httpServer := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	ended := make(chan error, 1)
	go func() { ended <- httpServer.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("cannot serve profiles: %w", err)
	case <-ctx.Done():
	}
	err := httpServer.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
