// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package directway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/doorward/doorward/proxy/egress"
)

// dialer opens a TCP connection and closes it; nil where it could.
type dialer func(ctx context.Context, address string) error

// try tries all addresses at once, and the proxies where none is open.
func (p *Prober) try(ctx context.Context, target Target) Result {
	now := time.Now()
	result := Result{From: p.options.From, At: now, Until: now.Add(goodFor * p.options.Interval)}
	errs := make([]error, len(target.Addresses))
	var trying sync.WaitGroup
	for i, address := range target.Addresses {
		trying.Go(func() { errs[i] = p.one(ctx, address) })
	}
	trying.Wait()
	for i, address := range target.Addresses {
		switch err := errs[i]; {
		case err == nil:
			result.Open = append(result.Open, address)
		case closed(err):
			result.Closed = append(result.Closed, address)
		case result.Untold == "":
			result.Untold = fmt.Sprintf("%q: %s", address, why(err))
		}
	}
	if len(result.Open) == 0 && len(result.Closed) > 0 && target.Control != "" {
		if err := p.one(ctx, target.Control); err != nil {
			result.Control = why(err)
		}
	}
	return result
}

// attempt is one at an address.
type attempt struct {
	over chan struct{} // closed when it is
	err  error         // set before
}

// one tries an address. Whoever wants the same one meanwhile shares the answer: many
// Connections to one server that is closed would otherwise hold up all others.
func (p *Prober) one(ctx context.Context, address string) error {
	p.mu.Lock()
	if going := p.dialing[address]; going != nil {
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-going.over:
			return going.err
		}
	}
	mine := &attempt{over: make(chan struct{})}
	p.dialing[address] = mine
	p.mu.Unlock()
	if mine.err = p.limiter.Wait(ctx); mine.err == nil {
		mine.err = p.dial(ctx, address)
	}
	p.mu.Lock()
	delete(p.dialing, address)
	p.mu.Unlock()
	close(mine.over)
	return mine.err
}

// dialTCP connects without sending anything. The address is judged when it is
// known, so that no name can lead elsewhere meanwhile.
func (p *Prober) dialTCP(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: -1, Control: func(_, resolved string, _ syscall.RawConn) error {
		ip, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return err
		}
		return p.permitted(ip.Addr().Unmap())
	}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// permitted refuses what leads to no other machine: the manager's own ports, and the
// services that clouds offer to their machines (package egress).
func (p *Prober) permitted(ip netip.Addr) error {
	if p.options.Loopback && ip.IsLoopback() {
		return nil
	}
	return egress.CheckRemote(ip)
}

// closed says whether an address was there to refuse, or did not answer: both are
// what a closed way looks like.
func closed(err error) bool {
	var resolving *net.DNSError
	if errors.As(err, &resolving) {
		return false
	}
	var timeout net.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// why says what went wrong, in words that stay the same from one attempt to the
// next: conditions are made of them.
func why(err error) string {
	var resolving *net.DNSError
	var operation *net.OpError
	switch {
	case errors.As(err, &resolving) && resolving.IsNotFound:
		return "the name is unknown"
	case errors.As(err, &resolving):
		return "the name could not be looked up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case closed(err):
		return "no answer"
	case errors.As(err, &operation):
		return operation.Err.Error()
	}
	return err.Error()
}
