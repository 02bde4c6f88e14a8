// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upstream reaches the target: it dials its addresses in order, says
// how TLS to it is verified, and hands out the credential that is meant for
// it. It refuses addresses that no target can have, such as those of the
// metadata services of clouds, at the moment of connecting, so that a name
// that resolves differently the second time gains nothing.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/doorward/doorward/proxy/egress"
)

// Target is one address of a target, as the Connection names it.
type Target struct {
	// Host is a DNS name or an IP address without brackets.
	Host string
	Port uint16
}

// String is host:port, as a credential's addresses name it.
func (t Target) String() string {
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}

// ParseTarget reads host:port. IPv6 addresses need their brackets.
func ParseTarget(address string) (Target, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return Target{}, fmt.Errorf("invalid target address: want host:port: %q", address)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 || host == "" {
		return Target{}, fmt.Errorf("invalid target address: want a host and a port from 1 to 65535: %q", address)
	}
	return Target{Host: host, Port: uint16(port)}, nil
}

// same says whether two targets are the same address, whatever the case of
// the name, a trailing dot or the spelling of an IP address. Names are not
// resolved: that a name leads to an address does not make it that address.
func (t Target) same(other Target) bool {
	return t.Port == other.Port && canonicalHost(t.Host) == canonicalHost(other.Host)
}

func canonicalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// ErrForbiddenAddress is wrapped by the error of a dial that reached for an
// address no target may have, see package egress.
var ErrForbiddenAddress = egress.ErrForbidden

// keepAlive finds a target that is gone without a word within two minutes of
// silence. TCP_USER_TIMEOUT is left alone: on Linux it also cuts a peer that is
// alive and takes no bytes for a while, such as a COPY that waits for a lock.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 6}

// Dial connects to the first target that accepts, in the order given, and says
// which one it was. Each target is given at most timeout. The error names
// every target that was tried.
func Dial(ctx context.Context, targets []Target, timeout time.Duration) (net.Conn, Target, error) {
	if len(targets) == 0 {
		return nil, Target{}, errors.New("cannot dial target: the connection names no address")
	}
	dialer := net.Dialer{Timeout: timeout, KeepAliveConfig: keepAlive, Control: refuseForbidden}
	var failures []error
	for _, target := range targets {
		conn, err := dialer.DialContext(ctx, "tcp", target.String())
		if err == nil {
			return conn, target, nil
		}
		failures = append(failures, fmt.Errorf("cannot dial target: %q: %w", target.String(), err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, Target{}, errors.Join(failures...)
}

// refuseForbidden runs after the name was resolved and before the socket
// connects, for every address that is tried.
func refuseForbidden(_, address string, _ syscall.RawConn) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address: %q", ErrForbiddenAddress, address)
	}
	// Loopback is allowed: an External proxy may run beside its target.
	return egress.Check(parsed.Addr())
}
