// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/doorward/doorward/test/proc"
)

// forwarder is a TCP relay in front of the API server that can refuse connections and can
// fall silent. It knows nothing of what it relays.
type forwarder struct {
	target  string
	address string // host:port, the same for its whole life

	ctx    context.Context //nolint:containedctx // the life of the accept loop, ended by stop
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex            // guards everything below
	listener net.Listener          // nil while closed
	conns    map[net.Conn]struct{} // both sides of every relayed connection
	flowing  chan struct{}         // closed while bytes flow, open while black-holed
	silent   bool
}

// startForwarder listens on a free loopback port.
func startForwarder(target string) (*forwarder, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{
		target: target, address: net.JoinHostPort(proc.Loopback, "0"),
		ctx: ctx, cancel: cancel,
		conns: map[net.Conn]struct{}{}, flowing: make(chan struct{}),
	}
	close(f.flowing)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.listen(); err != nil {
		cancel()
		return nil, err
	}
	f.address = f.listener.Addr().String()
	return f, nil
}

// listen opens the port and serves it. The caller holds mu.
func (f *forwarder) listen() error {
	var config net.ListenConfig
	listener, err := config.Listen(f.ctx, "tcp", f.address)
	if err != nil {
		return fmt.Errorf("cannot listen in front of the API server: %w", err)
	}
	f.listener = listener
	f.wg.Go(func() { f.accept(listener) })
	return nil
}

// accept hands each connection of one listener to a relay until the listener is closed.
func (f *forwarder) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.relay(client) })
	}
}

// relay connects one client to the target and returns when either side has ended.
func (f *forwarder) relay(client net.Conn) {
	defer client.Close()
	if !f.track(client) {
		return
	}
	defer f.untrack(client)
	// A black-holed client must not be told that the target is there.
	if !f.awaitFlow() {
		return
	}
	var dialer net.Dialer
	target, err := dialer.DialContext(f.ctx, "tcp", f.target)
	if err != nil {
		return
	}
	defer target.Close()
	if !f.track(target) {
		return
	}
	defer f.untrack(target)

	var pumps sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, target}, {target, client}} {
		pumps.Go(func() {
			f.pump(way[1], way[0])
			// TLS has its own half close; ending both sides is enough here.
			client.Close()
			target.Close()
		})
	}
	pumps.Wait()
}

// pump copies bytes while they may flow.
func (f *forwarder) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !f.awaitFlow() {
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

// awaitFlow returns true once bytes may flow and false when the forwarder has stopped.
func (f *forwarder) awaitFlow() bool {
	f.mu.Lock()
	flowing := f.flowing
	f.mu.Unlock()
	select {
	case <-flowing:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// track registers a connection that closeAll has to cut; false while the port is closed.
func (f *forwarder) track(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener == nil {
		return false
	}
	f.conns[conn] = struct{}{}
	return true
}

func (f *forwarder) untrack(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}

// closeAll cuts every connection and refuses new ones.
func (f *forwarder) closeAll() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener == nil {
		return nil
	}
	err := f.listener.Close()
	f.listener = nil
	for conn := range f.conns {
		err = errors.Join(err, ignoreClosed(conn.Close()))
	}
	return err
}

// blackHole keeps every connection open, accepts new ones and lets no byte through.
func (f *forwarder) blackHole() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.silent {
		f.silent = true
		f.flowing = make(chan struct{})
	}
}

// resume undoes closeAll and blackHole; what a black hole held back is delivered.
func (f *forwarder) resume() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent {
		f.silent = false
		close(f.flowing)
	}
	if f.listener == nil {
		return f.listen()
	}
	return nil
}

// stop ends everything and waits for it.
func (f *forwarder) stop() error {
	f.cancel()
	err := f.closeAll()
	f.wg.Wait()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
