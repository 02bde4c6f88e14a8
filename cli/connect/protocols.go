// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"net"

	"github.com/doorward/doorward/cli/connect/onward"
	"github.com/doorward/doorward/cli/connect/postgres"
)

// session is what a client needs to know.
type session struct {
	target
	// dial is where to dial, which is not the target's own endpoint where a port is
	// forwarded; the certificate is the endpoint's.
	dial string
	// caFile holds the authorities that sign the proxy's certificate, in PEM.
	caFile string
	token  string
	user   string
}

// protocol is how a protocol's clients are told where to go and who they are. A row of
// the table below is all that a further protocol needs.
type protocol struct {
	// program is the client, and install where it comes from.
	program, install string
	// environment is the client's, made of the user's own.
	environment func(s *session, inherited []string) ([]string, error)
	// arguments are the client's, before the user's own.
	arguments func(s *session) []string
	// local makes what --listen serves.
	local func(to onward.Way, password string) (server, error)
	// socket is the name of a socket in the folder of --listen unix:.
	socket string
	// typed are lines that say how to connect to --listen, with the password; folder is
	// the socket's, empty for a port.
	typed func(s *session, at net.Addr, folder, password string) ([]string, error)
}

// server serves one connection of a local client.
type server interface {
	Serve(ctx context.Context, conn net.Conn) error
}

// protocols are those that connect knows, by the name in spec.protocol.
var protocols = map[string]protocol{
	"postgres": {
		program: "psql", install: "it comes with PostgreSQL's client tools, such as the package postgresql-client",
		environment: postgresEnvironment,
		arguments:   func(*session) []string { return nil },
		local:       func(to onward.Way, password string) (server, error) { return postgres.New(to, password) },
		socket:      ".s.PGSQL.5432",
		typed:       postgresTyped,
	},
}
