// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	_ "embed"
	"errors"
	"os"
)

// HostConnection leads to the shop's server, where a stack has one.
const HostConnection = "shop-host"

//go:embed shop/hostpolicies.yaml
var hostPolicies string

// StartShopHost starts the shop's server, with its policies. Args are appended to the proxy's
// command line.
func (s *Stack) StartShopHost(ctx context.Context, args ...string) (*Host, error) {
	h, err := s.StartHost(ctx, HostOptions{Connection: HostConnection, Account: "deploy", ProxyArgs: args})
	if err != nil {
		return nil, err
	}
	values := map[string]string{"CONNECTION": HostConnection, "HOME": h.Home()}
	if err := s.Apply(ctx, os.Expand(hostPolicies, func(name string) string { return values[name] })); err != nil {
		return nil, err
	}
	return h, errors.Join(
		s.AwaitPolicy(ctx, HostConnection, HostConnection+"-analysts"),
		s.AwaitPolicy(ctx, HostConnection, HostConnection+"-on-call"),
	)
}
