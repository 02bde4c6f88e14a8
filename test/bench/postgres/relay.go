// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// serveRelay is the peer: the simplest Go TCP relay, two goroutines for each
// connection and nothing else. It says its address on standard output.
func serveRelay(ctx context.Context, target string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer listener.Close()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	fmt.Fprintln(os.Stdout, listener.Addr())
	for {
		client, err := listener.Accept()
		if err != nil {
			return nil // the listener was closed: the parent ended
		}
		go relay(ctx, client, target)
	}
}

func relay(ctx context.Context, client net.Conn, target string) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	var pumps sync.WaitGroup
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		pumps.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			if half, ok := pair[0].(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		})
	}
	pumps.Wait()
}
