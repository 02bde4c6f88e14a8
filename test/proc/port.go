// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Loopback is the only address test servers listen on.
const Loopback = "127.0.0.1"

// The ports that [FreePort] returns lie below those that kernels give to connections and to
// listeners that ask for any port, and between the kubelet's and the node ports.
const (
	firstPort = 12000
	lastPort  = 29999
)

// reserved holds a UDP socket for each port that this process was given: the sockets keep
// other processes from it, and go with the process, however it ends.
var reserved struct {
	sync.Mutex

	sockets []net.PacketConn
}

// FreePort returns a TCP port of [Loopback] that nothing listens on, and that no other call,
// in this process or another one, is given for as long as this process lives.
func FreePort(ctx context.Context) (int, error) {
	reserved.Lock()
	defer reserved.Unlock()
	count := lastPort - firstPort + 1
	start := rand.IntN(count)
	var err error
	for i := range count {
		port := firstPort + (start+i)%count
		var socket net.PacketConn
		if socket, err = reserve(ctx, port); err == nil {
			reserved.sockets = append(reserved.sockets, socket)
			return port, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return 0, fmt.Errorf("cannot find a free port on %s: %w", Loopback, err)
}

// reserve returns the socket that keeps a port for this process, or an error where the port
// is taken or somebody listens on it.
func reserve(ctx context.Context, port int) (net.PacketConn, error) {
	var config net.ListenConfig
	address := net.JoinHostPort(Loopback, strconv.Itoa(port))
	socket, err := config.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return socket, listener.Close()
}

// FreeAddress returns [FreePort] as "host:port".
func FreeAddress(ctx context.Context) (string, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(Loopback, strconv.Itoa(port)), nil
}

// portAttempts is how often a server is started because its port was taken.
const portAttempts = 3

// OnPort calls start with a port, or as [OnFreePorts] does where that is zero.
func OnPort(ctx context.Context, port int, start func(port int) error) error {
	if port != 0 {
		return start(port)
	}
	return OnFreePorts(ctx, 1, func(ports []int) error { return start(ports[0]) })
}

// OnFreePorts calls start with free ports until it succeeds, fails for another reason than a
// server that ended since a port was taken, or has had its attempts.
func OnFreePorts(ctx context.Context, count int, start func(ports []int) error) error {
	var err error
	for range portAttempts {
		ports := make([]int, count)
		for i := range ports {
			if ports[i], err = FreePort(ctx); err != nil {
				return err
			}
		}
		err = start(ports)
		if !errors.Is(err, ErrExited) || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return err
		}
	}
	return err
}
