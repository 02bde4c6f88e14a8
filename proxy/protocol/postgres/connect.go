// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/relay"
	"github.com/doorward/doorward/proxy/snapshot"
)

const (
	// connectBound is how long opening a session at the target may take, over all
	// of its addresses, the catalog included.
	connectBound = 30 * time.Second
	// proveBound is how long one address may take to let the proxy in.
	proveBound = 8 * time.Second
)

// alpn is the protocol's registered name (IANA, TLS ALPN Protocol IDs).
const alpn = "postgresql"

// road is the proxy's way to a target: of a session, or its own.
type road interface {
	// TLS is how the target's certificate is verified; nil for no TLS.
	TLS(target snapshot.Target) (*tls.Config, error)
}

// prove enters a target that answered, under the stored credential, and checks
// that it is what the Connection wants. The returned connection must be closed.
func prove(ctx context.Context, way road, up access.Upstream, o options, database string, parameters map[string]string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, proveBound)
	defer cancel()
	direct := o.SSLNegotiation == sslDirect
	secured, err := targetTLS(way, up, direct)
	if err != nil {
		return nil, err
	}
	password := up.Credential.Password()
	if password == "" && up.Credential.Certificate() == nil {
		return nil, fmt.Errorf("%w: the credential holds neither a password nor a client certificate: set its key \"password\", or \"tls.crt\" and \"tls.key\"", errGreeting)
	}
	if secured == nil && password == "" {
		return nil, fmt.Errorf("%w: the credential holds a client certificate only, and spec.tls.mode is Disabled", errGreeting)
	}
	// The string names every setting that pgconn would look for in the
	// environment or the file system before it is overridden below.
	config, err := pgconn.ParseConfig("host=target port=5432 user=target password=target dbname=target sslmode=disable sslnegotiation=postgres " +
		"passfile=/dev/null servicefile=/dev/null target_session_attrs=any channel_binding=prefer require_auth=none " +
		"min_protocol_version=3.0 max_protocol_version=3.0")
	if err != nil {
		return nil, fmt.Errorf("cannot configure the connection to the target: %w", err)
	}
	config.Host, config.Port = up.Target.Host, uint16(up.Target.Port) //nolint:gosec // validated by the API
	config.User, config.Password, config.Database = up.Credential.Username(), password, database
	config.TLSConfig, config.Fallbacks, config.ValidateConnect, config.AfterConnect = secured, nil, nil, nil
	// The guard lets through what may be asked for, and nothing else.
	config.RequireAuth = ""
	if o.ChannelBinding == bindingRequire {
		config.ChannelBinding = "require"
	}
	if direct {
		config.SSLNegotiation = "direct"
	}
	config.AfterNetConnect = bindTLS(direct)
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(newGuard(r, secured != nil, password != ""), w)
	}
	config.ConnectTimeout = proveBound
	config.MaxProtocolMessageBodyLen = maxBackendBuffered
	config.RuntimeParams = map[string]string{}
	for name, value := range parameters {
		config.RuntimeParams[name] = value
	}
	for name, value := range enforced {
		config.RuntimeParams[name] = value
	}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{up.Target.Host}, nil }
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return relay.NewLine(up.Conn), nil }
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	_, asked := parameters["default_transaction_read_only"]
	if err := checkAttrs(ctx, conn, o.TargetSessionAttrs, asked); err != nil {
		_ = conn.Conn().Close()
		return nil, err
	}
	return conn, nil
}

// targetTLS is how TLS with a target is taken; nil where the Connection has none.
func targetTLS(way road, up access.Upstream, direct bool) (*tls.Config, error) {
	config, err := way.TLS(up.Target)
	if err != nil || config == nil {
		return nil, err
	}
	if direct {
		config.NextProtos = []string{alpn}
	}
	if certificate := up.Credential.Certificate(); certificate != nil {
		// It is shown to a target that asks for one, whatever authorities it
		// names: its refusal says more than silence.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return config, nil
}

// bindTLS finishes the handshake before anything is said inside it. A target
// that began directly must speak the protocol by name, so that no server of
// another kind is mistaken for it. Where the certificate's signature names no
// hash to bind the channel with (RFC 5929, section 4.1; Ed25519), none is bound.
func bindTLS(direct bool) func(context.Context, *pgconn.Config, net.Conn) (net.Conn, error) {
	return func(ctx context.Context, config *pgconn.Config, conn net.Conn) (net.Conn, error) {
		secured, ok := conn.(*tls.Conn)
		if !ok {
			return conn, nil
		}
		if err := secured.HandshakeContext(ctx); err != nil {
			return conn, err // the connection too: pgconn closes it
		}
		state := secured.ConnectionState()
		if direct && state.NegotiatedProtocol != alpn {
			return conn, fmt.Errorf("%w: it did not choose the ALPN protocol %q", errGreeting, alpn)
		}
		if config.ChannelBinding != "require" && !bindable(state.PeerCertificates[0].SignatureAlgorithm) {
			config.ChannelBinding = "disable"
		}
		return conn, nil
	}
}

// connectRefusal says what went wrong without what the target said, which may
// name the credential's user; that is told to the operators. Only a bad startup
// parameter and a database that does not exist are the caller's own. What another
// target may do better is marked.
func connectRefusal(grant *access.Grant, err error) error {
	var refusal *access.Refusal
	if errors.As(err, &refusal) {
		return err
	}
	var target *pgconn.PgError
	if !errors.As(err, &target) {
		told := grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the target could not be reached or did not accept the proxy",
			Hint: "Try again; if it lasts, ask an admin to look at the Connection's TLS settings and credential.",
		}, err)
		if errors.Is(err, errGreeting) {
			return told
		}
		return access.Elsewhere(told)
	}
	switch target.Code {
	case stateInvalidParameter, stateUndefinedObject:
		return &access.Refusal{Reason: access.ReasonProtocol, Code: target.Code, Message: target.Message}
	case stateInvalidCatalog:
		// The Connection lets callers choose among databases; the target knows which exist.
		// Its admins named one that it does not have, and nobody else would tell them.
		_ = grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the target does not have a database that spec.options.databases names: create it there, or take it out",
		}, err)
		return &access.Refusal{
			Reason: access.ReasonProtocol, Code: target.Code, Message: "the target has no such database",
			Hint: "Check the name of the database; if it is right, ask an admin to look at spec.options.databases of the Connection.",
		}
	case stateTooManyConnections:
		return grant.Trouble(&access.Refusal{Reason: access.ReasonUnavailable, Code: target.Code, Message: "the target takes no more connections now", Hint: "Try again later."}, err)
	case stateCannotConnectNow:
		return access.Elsewhere(grant.Trouble(&access.Refusal{Reason: access.ReasonUnavailable, Code: target.Code, Message: "the target takes no connections now", Hint: "Try again later."}, err))
	}
	return grant.Trouble(&access.Refusal{
		Reason: access.ReasonUnavailable, Message: "the target did not accept the proxy",
		Hint: "Ask an admin to look at the Connection's credential.",
	}, err)
}
