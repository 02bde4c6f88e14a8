// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package onward

import (
	"context"
	"fmt"
	"net"

	"github.com/doorward/doorward/proxy/relay"
)

// Pipe passes connections on as they are, for protocols whose clients prove themselves and
// check the proxy from end to end.
type Pipe struct{ Way }

// Serve passes one connection on until either side ends.
func (p Pipe) Serve(ctx context.Context, conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	address, err := p.Address(ctx)
	if err != nil {
		return err
	}
	var dialer net.Dialer
	proxy, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot reach the proxy: %w", err)
	}
	defer func() { _ = proxy.Close() }()
	return relay.Splice(ctx, conn, proxy)
}
