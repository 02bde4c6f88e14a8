// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"fmt"
	"net"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/cli/connect/onward"
	"github.com/doorward/doorward/cli/connect/postgres"
	"github.com/doorward/doorward/cli/endpoint"
	"github.com/doorward/doorward/cli/login"
)

// session is what a client needs to know.
type session struct {
	target
	// folder is for this run, of mode 0700.
	folder string
	// dial is where to dial, which is not the target's own endpoint where a port is
	// forwarded; the certificate is the endpoint's.
	dial string
	// authorities sign the proxy's certificate, or its host key: in PEM, or as lines of
	// known_hosts. caFile holds them.
	authorities []byte
	caFile      string
	token       string
	user        string
	// loginName is who to be at the target; what policies and the credential say where empty.
	loginName string
	// ssh is a certificate to use in place of the token; nil where there is none.
	ssh *login.SSHIdentity
}

// program is a client, and where it comes from.
type program struct{ name, install string }

// command is what a client is started with.
type command struct{ args, environment []string }

// protocol is how a protocol's clients are told where to go and who they are. A row of
// the table below is all that a further protocol needs.
type protocol struct {
	// clients are those that can be started, the usual one first.
	clients []program
	// authorities are those by which clients know the proxy; see package endpoint.
	authorities func(ctx context.Context, reader client.Reader, namespace, file, role string) ([]byte, error)
	// command is the client's, made of the user's arguments and environment.
	command func(s *session, name string, args, inherited []string) (*command, error)
	// local makes what --listen serves.
	local func(s *session, to onward.Way, password string) (server, error)
	// socket is the name of a socket in the folder of --listen unix:; none where empty.
	socket string
	// typed are lines that say how to connect to --listen, with the password; folder is
	// the socket's, empty for a port.
	typed func(s *session, at net.Addr, folder, password string) ([]string, error)
	// until says what ends with the command.
	until string
	// ssh says that clients use SSH certificates, and login names of the target.
	ssh bool
}

// server serves one connection of a local client.
type server interface {
	Serve(ctx context.Context, conn net.Conn) error
}

// protocols are those that connect knows, by the name in spec.protocol.
var protocols = map[string]protocol{
	"postgres": {
		clients:     []program{{"psql", "it comes with PostgreSQL's client tools, such as the package postgresql-client"}},
		authorities: endpoint.Authorities,
		command:     postgresCommand,
		local:       postgresLocal,
		socket:      ".s.PGSQL.5432",
		typed:       postgresTyped,
		until:       "The password is good until this command ends.",
	},
	"ssh": {
		clients:     sshClients,
		authorities: endpoint.HostAuthorities,
		command:     sshCommand,
		local:       func(_ *session, to onward.Way, _ string) (server, error) { return onward.Pipe{Way: to}, nil },
		typed:       sshTyped,
		until:       "The port and the files are there until this command ends.",
		ssh:         true,
	},
}

func postgresLocal(s *session, to onward.Way, password string) (server, error) {
	var err error
	if to.Authorities, err = s.pool(); err != nil {
		return nil, err
	}
	return postgres.New(to, password)
}

// client is one of the protocol's by name, or the usual one.
func (p *protocol) client(name string) (program, error) {
	names := make([]string, len(p.clients))
	for i, one := range p.clients {
		if name == "" || one.name == name {
			return one, nil
		}
		names[i] = one.name
	}
	return program{}, fmt.Errorf("invalid --client: one of (%s): %q", strings.Join(names, ", "), name)
}
