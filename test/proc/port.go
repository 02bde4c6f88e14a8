// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// Loopback is the only address test servers listen on.
const Loopback = "127.0.0.1"

// FreePort returns a TCP port of [Loopback] that was free a moment ago. Another process may
// take it before the caller does, so starting a server on it is worth a second try.
func FreePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(Loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("cannot find a free port on %s: %w", Loopback, err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("listener has no TCP address: %q", listener.Addr())
	}
	return address.Port, nil
}

// FreeAddress returns [FreePort] as "host:port".
func FreeAddress(ctx context.Context) (string, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(Loopback, strconv.Itoa(port)), nil
}
