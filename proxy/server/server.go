// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
)

// Defaults of Options.
const (
	// DefaultHandshakeTimeout is how long a client may take to become a session.
	DefaultHandshakeTimeout = 10 * time.Second
	// DefaultMaxUnproven is the number of clients without a session at one time.
	DefaultMaxUnproven = 512
	// DefaultDrainTimeout is how long live sessions may go on after the stop.
	DefaultDrainTimeout = 30 * time.Second
	// DefaultCutTimeout is how long an ended session may take to say goodbye.
	DefaultCutTimeout = 5 * time.Second
)

// Options of a Server; zero values mean the defaults.
type Options struct {
	Log              logr.Logger
	Metrics          *Metrics
	HandshakeTimeout time.Duration
	MaxUnproven      int
	// ShutdownDelay is how long clients are still taken after the stop, until those
	// who send them here, such as a Service, have heard of it; 0 for not at all.
	ShutdownDelay time.Duration
	DrainTimeout  time.Duration
	CutTimeout    time.Duration
}

// Endpoint serves one Connection.
type Endpoint struct {
	// Name is namespace/name of the Connection.
	Name     string
	Listener net.Listener
	Gate     *access.Gate
	Handler  protocol.Handler
	// ByName has clients of the other endpoints that speak the same protocol led to this
	// Gate where they name the Connection; see access.Entry.Route.
	ByName bool
	// Also are further ports of the Connection, such as that of questions about access.
	// Their clients are bounded with those of all ports.
	Also []Port
}

// Port is a further way to a Connection's Gate.
type Port struct {
	Listener net.Listener
	Handler  protocol.Handler
}

// ports are the endpoint once for each of its ports.
func (e Endpoint) ports() []Endpoint {
	all := []Endpoint{e}
	for _, port := range e.Also {
		own := e
		own.Listener, own.Handler = port.Listener, port.Handler
		all = append(all, own)
	}
	return all
}

// Server serves endpoints until it is told to stop.
type Server struct {
	options   Options
	endpoints []Endpoint
	// named are the gates of endpoints that clients may name.
	named    []*access.Gate
	unproven *crowd

	// life ends when draining is over: what then still runs is told to go.
	life context.Context //nolint:containedctx // the server's own life, ended by Run
	end  context.CancelCauseFunc

	// running counts accept loops and connections.
	running sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
}

// New makes a Server. Run must be called once.
func New(options Options, endpoints ...Endpoint) *Server {
	if options.HandshakeTimeout <= 0 {
		options.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if options.MaxUnproven <= 0 {
		options.MaxUnproven = DefaultMaxUnproven
	}
	if options.DrainTimeout < 0 {
		options.DrainTimeout = 0
	}
	if options.CutTimeout <= 0 {
		options.CutTimeout = DefaultCutTimeout
	}
	if options.Metrics == nil {
		options.Metrics = NewMetrics()
	}
	life, end := context.WithCancelCause(context.Background())
	s := &Server{
		options: options, endpoints: endpoints, unproven: newCrowd(options.MaxUnproven),
		life: life, end: end, conns: map[net.Conn]struct{}{},
	}
	for _, endpoint := range endpoints {
		if endpoint.ByName {
			s.named = append(s.named, endpoint.Gate)
		}
	}
	options.Metrics.watch(s)
	return s
}

// Listen opens a port with keep-alive probes, so that a client that is gone
// without a word is noticed within two minutes.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 6,
	}}
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return listener, nil
}

// Run serves until ctx ends, and for the shutdown delay after that. Then no session
// is opened any more, and sessions may go on for the drain timeout; meanwhile
// connections are accepted for what live sessions need, such as requests to cancel.
// What is left is ended with access.ErrDraining, and cut after that. When Run
// returns, no goroutine of the server is left.
func (s *Server) Run(ctx context.Context) {
	for _, endpoint := range s.endpoints {
		for _, port := range endpoint.ports() {
			s.running.Go(func() { s.accept(port) })
		}
	}
	<-ctx.Done()
	if delay := s.options.ShutdownDelay; delay > 0 {
		s.options.Log.Info("Stopping, clients are still taken", "delay", delay.String(), "sessions", s.Sessions())
		within(s.life.Done(), delay)
	}
	s.drain()
}

func (s *Server) drain() {
	for _, endpoint := range s.endpoints {
		endpoint.Gate.Drain()
	}
	s.options.Log.Info("Draining", "sessions", s.Sessions(), "timeout", s.options.DrainTimeout.String())
	if !s.drained(s.options.DrainTimeout) {
		s.options.Log.Info("Drain timeout reached, ending sessions", "sessions", s.Sessions())
	}
	for _, endpoint := range s.endpoints {
		for _, port := range endpoint.ports() {
			// A listener that is closed already is what is wanted.
			_ = port.Listener.Close()
		}
		endpoint.Gate.Close(access.ErrDraining)
	}
	s.end(access.ErrDraining)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	if !within(done, s.options.CutTimeout) {
		s.cutAll()
	}
	<-done
}

// drainLook is how often a draining server looks whether sessions are left.
const drainLook = 50 * time.Millisecond

// drained waits until no session is left, but no longer than the bound.
func (s *Server) drained(bound time.Duration) bool {
	look := time.NewTicker(drainLook)
	defer look.Stop()
	end := time.NewTimer(bound)
	defer end.Stop()
	for s.Sessions() > 0 {
		select {
		case <-look.C:
		case <-end.C:
			return false
		}
	}
	return true
}

// within waits for done, but no longer than the bound.
func within(done <-chan struct{}, bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// Sessions is the number of live sessions of all endpoints.
func (s *Server) Sessions() int {
	sum := 0
	for _, endpoint := range s.endpoints {
		sum += endpoint.Gate.Sessions()
	}
	return sum
}

// The bounds of the pause after an error of Accept.
const (
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// reference names a Connection in logs, as Kubernetes' own programs name objects.
func reference(name string) klog.ObjectRef {
	namespace, name, _ := strings.Cut(name, "/")
	return klog.KRef(namespace, name)
}

// accept takes connections until the listener is closed. Any other error, such
// as too many open files, passes: it waits, longer each time, and goes on.
func (s *Server) accept(endpoint Endpoint) {
	pause := acceptPause
	for {
		conn, err := endpoint.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.options.Metrics.acceptErrors.WithLabelValues(endpoint.Name).Inc()
			s.options.Log.Error(err, "Cannot accept", "Connection", reference(endpoint.Name), "retryAfter", pause.String())
			if within(s.life.Done(), pause) {
				return
			}
			pause = min(2*pause, acceptPauseMax)
		default:
			pause = acceptPause
			s.track(conn)
			s.running.Go(func() {
				defer s.untrack(conn)
				s.serve(endpoint, conn)
			})
		}
	}
}

func (s *Server) track(conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = struct{}{}
	s.mu.Unlock()
}

func (s *Server) untrack(conn net.Conn) {
	// The peer may have closed it.
	_ = conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

func (s *Server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}
