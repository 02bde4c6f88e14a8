// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/doorward/doorward/proxy/server"
)

// checkPprofAddress says whether profiles may be served at an address. They
// show memory, so only who is on this machine may reach them: the address must
// be a loopback one as a number, since a name may come to mean another.
func checkPprofAddress(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !parsed.Addr().IsLoopback() {
		return fmt.Errorf("invalid --pprof-address: want a loopback address and a port, such as 127.0.0.1:6060: %q", address)
	}
	return nil
}

// listenPprof listens for those who want profiles; nil where nobody may.
func listenPprof(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // off
	}
	if err := checkPprofAddress(address); err != nil {
		return nil, err
	}
	return server.Listen(ctx, address)
}

// servePprof serves profiles until ctx ends.
func servePprof(ctx context.Context, listener net.Listener) error {
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
