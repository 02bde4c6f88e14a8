// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"fmt"
	"net"

	"github.com/doorward/doorward/cli/forward"
)

// way is how a proxy is reached.
type way interface {
	// Address is where to dial now, as host:port.
	Address(ctx context.Context) (string, error)
	Close()
}

// direct is the endpoint itself.
type direct string

func (d direct) Address(context.Context) (string, error) { return string(d), nil }
func (direct) Close()                                    {}

// newForwarder forwards a port to the pods of a proxy. When the pod goes, the next one
// takes its place for who comes next.
func newForwarder(c *lookup, t *target) (*forward.Forwarder, error) {
	service, ok := t.service()
	if !ok {
		return nil, fmt.Errorf("endpoint %q is no Service of the cluster: no port can be forwarded to it: leave out --port-forward", t.endpoint)
	}
	_, port, err := net.SplitHostPort(t.endpoint)
	if err != nil {
		return nil, err
	}
	return forward.New(c.config, t.namespace, service, port)
}
