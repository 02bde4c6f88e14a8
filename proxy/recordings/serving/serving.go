// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serving is the HTTPS server of recordings, the manager's and the proxies' alike:
// HTTP/1.1, one request a connection, with bounds that hold before anybody is proven, since
// anybody who reaches the port may knock.
package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

const (
	// headerBound is how long a handshake, and then a header, may take to come, readBound
	// how long a whole request.
	headerBound = 5 * time.Second
	readBound   = 15 * time.Second
	// maxHeader holds the longest token of Kubernetes and then some.
	maxHeader = 64 << 10
	// stopBound is how long answers may go on when the server stops.
	stopBound = 2 * time.Second
)

// Serve serves until ctx ends, with which the contexts of requests end too, and closes the
// listener. How long an answer may take is the handler's to say.
func Serve(ctx context.Context, listener net.Listener, config *tls.Config, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerBound, ReadTimeout: readBound, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ErrorLog:  log.New(io.Discard, "", 0), // what it would say is what clients sent
		Protocols: &http.Protocols{},
	}
	server.Protocols.SetHTTP1(true)
	server.SetKeepAlivesEnabled(false)
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopBound)
		defer cancel()
		if server.Shutdown(bound) != nil {
			_ = server.Close() // what still goes on is cut
		}
	})
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	err := server.Serve(tls.NewListener(newBounded(listener), config))
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
