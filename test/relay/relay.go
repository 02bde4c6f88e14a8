// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay is a TCP relay that can refuse connections and can fall silent, so that a test
// takes a server away from its clients and gives it back.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/doorward/doorward/test/proc"
)

// Dial opens a connection to what is relayed to.
type Dial func(ctx context.Context) (net.Conn, error)

// Relay listens on a loopback port and knows nothing of what it relays.
type Relay struct {
	dial    Dial
	address string

	ctx    context.Context //nolint:containedctx // the life of the accept loop, ended by Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex            // guards everything below
	listener net.Listener          // nil while closed
	conns    map[net.Conn]struct{} // both sides of every relayed connection
	flowing  chan struct{}         // closed while bytes flow, open while black-holed
	silent   bool
}

// To returns a [Dial] of a TCP address, as "host:port".
func To(address string) Dial {
	return func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// Start listens on a free loopback port until [Relay.Stop].
func Start(dial Dial) (*Relay, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Relay{
		dial: dial, address: net.JoinHostPort(proc.Loopback, "0"),
		ctx: ctx, cancel: cancel,
		conns: map[net.Conn]struct{}{}, flowing: make(chan struct{}),
	}
	close(r.flowing)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.listen(); err != nil {
		cancel()
		return nil, err
	}
	r.address = r.listener.Addr().String()
	return r, nil
}

// Address returns the host:port that clients use, the same for its whole life.
func (r *Relay) Address() string { return r.address }

// listen opens the port and serves it. The caller holds mu.
func (r *Relay) listen() error {
	var config net.ListenConfig
	listener, err := config.Listen(r.ctx, "tcp", r.address)
	if err != nil {
		return fmt.Errorf("cannot listen for a relay: %w", err)
	}
	r.listener = listener
	r.wg.Go(func() { r.accept(listener) })
	return nil
}

// accept hands each connection of one listener to a relay until the listener is closed.
func (r *Relay) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.relay(client) })
	}
}

// relay connects one client to the target and returns when either side has ended.
func (r *Relay) relay(client net.Conn) {
	defer client.Close()
	if !r.track(client) {
		return
	}
	defer r.untrack(client)
	// A black-holed client must not be told that the target is there.
	if !r.awaitFlow() {
		return
	}
	target, err := r.dial(r.ctx)
	if err != nil {
		return
	}
	defer target.Close()
	if !r.track(target) {
		return
	}
	defer r.untrack(target)

	var pumps sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, target}, {target, client}} {
		pumps.Go(func() {
			r.pump(way[1], way[0])
			// TLS has its own half close; ending both sides is enough here.
			client.Close()
			target.Close()
		})
	}
	pumps.Wait()
}

// pump copies bytes while they may flow.
func (r *Relay) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !r.awaitFlow() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitFlow returns true once bytes may flow and false when the relay has stopped.
func (r *Relay) awaitFlow() bool {
	r.mu.Lock()
	flowing := r.flowing
	r.mu.Unlock()
	select {
	case <-flowing:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// track registers a connection that Close has to cut; false while the port is closed.
func (r *Relay) track(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener == nil {
		return false
	}
	r.conns[conn] = struct{}{}
	return true
}

func (r *Relay) untrack(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
}

// Close cuts every connection and refuses new ones.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener == nil {
		return nil
	}
	err := r.listener.Close()
	r.listener = nil
	for conn := range r.conns {
		err = errors.Join(err, ignoreClosed(conn.Close()))
	}
	return err
}

// BlackHole keeps every connection open, accepts new ones and lets no byte through.
func (r *Relay) BlackHole() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.silent {
		r.silent = true
		r.flowing = make(chan struct{})
	}
}

// Resume undoes Close and BlackHole; what a black hole held back is delivered.
func (r *Relay) Resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent {
		r.silent = false
		close(r.flowing)
	}
	if r.listener == nil {
		return r.listen()
	}
	return nil
}

// Stop ends everything and waits for it.
func (r *Relay) Stop() error {
	r.cancel()
	err := r.Close()
	r.wg.Wait()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
