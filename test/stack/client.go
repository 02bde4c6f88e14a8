// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
)

// Config is how somebody connects to the shop through a proxy, with a token of
// the stack's issuer.
func (s *Stack) Config(p *Proxy, who issuer.Request) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(s.PSQL(p) + " connect_timeout=30")
	if err != nil {
		return nil, fmt.Errorf("cannot read the shop's connection string: %w", err)
	}
	config.Password, err = s.Issuer.TokenFor(who)
	return config, err
}
