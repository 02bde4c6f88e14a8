// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/pace"
)

// Bounds of the listener: anybody who reaches it may knock.
const (
	headerBound = 5 * time.Second
	readBound   = 10 * time.Second
	// maxHeader holds the longest token of Kubernetes and then some.
	maxHeader = 64 << 10
	// mostConnections there are at a time, mostOfHost of one address.
	mostConnections = 256
	mostOfHost      = 64
	stopBound       = 5 * time.Second
)

// Server is an HTTPS server of the manager, on every replica.
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
	server := &http.Server{
		Handler: s.Handler, BaseContext: func(net.Listener) context.Context { return ctx },
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
	secured := tls.NewListener(&crowded{Listener: s.Listener, hosts: map[string]int{}}, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return s.Certificate(hello.Context()) },
	})
	err := server.Serve(secured)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("cannot serve recordings: %w", err)
}

// crowded is a listener that closes at once what is more than there may be.
type crowded struct {
	net.Listener

	mu    sync.Mutex // guards what follows
	all   int
	hosts map[string]int
}

func (c *crowded) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := pace.HostOf(conn.RemoteAddr().String())
		if c.enter(host) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { c.leave(host) })}, nil
		}
		_ = conn.Close()
	}
}

func (c *crowded) enter(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= mostConnections || c.hosts[host] >= mostOfHost {
		return false
	}
	c.all++
	c.hosts[host]++
	return true
}

func (c *crowded) leave(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	c.hosts[host]--
	if c.hosts[host] == 0 {
		delete(c.hosts, host)
	}
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
