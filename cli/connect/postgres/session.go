// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/relay"
)

// enterTime bounds entering a proxy: it may hold the session until somebody approves.
const enterTime = 15 * time.Minute

// session enters the proxy for a client that was let in, and passes bytes both ways.
func (s *Server) session(ctx context.Context, conn net.Conn, backend *pgproto3.Backend, parameters map[string]string) error {
	config, err := s.config(ctx, parameters)
	if err != nil {
		return refuse(backend, "08006", err)
	}
	// What the proxy says meanwhile, such as which approval it waits for, is the client's.
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		backend.Send(&pgproto3.NoticeResponse{
			Severity: n.Severity, SeverityUnlocalized: n.SeverityUnlocalized, Code: n.Code, Message: n.Message, Detail: n.Detail, Hint: n.Hint,
		})
		_ = backend.Flush()
	}
	entering, cancel := context.WithTimeout(ctx, enterTime)
	opened, err := pgconn.ConnectConfig(entering, config)
	cancel()
	if err != nil {
		return refused(backend, err)
	}
	config.OnNotice = nil
	hijacked, err := opened.Hijack()
	if err != nil {
		return errors.Join(refuse(backend, "08006", err), opened.Close(ctx))
	}
	defer func() { _ = hijacked.Conn.Close() }()
	if err := s.begin(backend, hijacked); err != nil {
		return err
	}
	// The connection is only asked for its address and its key here.
	canceller, err := pgconn.Construct(hijacked)
	if err != nil {
		return refuse(backend, "08006", err)
	}
	k, forget := s.register(canceller.CancelRequest)
	defer forget()
	backend.Send(&pgproto3.BackendKeyData{ProcessID: k.process, SecretKey: binary.BigEndian.AppendUint32(nil, k.secret)})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: hijacked.TxStatus})
	if err := backend.Flush(); err != nil {
		return err
	}
	return relay.Splice(ctx, conn, hijacked.Conn)
}

// begin tells the client that it is in, and what the target reported.
func (s *Server) begin(backend *pgproto3.Backend, hijacked *pgconn.HijackedConn) error {
	backend.Send(&pgproto3.AuthenticationOk{})
	for _, name := range slices.Sorted(maps.Keys(hijacked.ParameterStatuses)) {
		backend.Send(&pgproto3.ParameterStatus{Name: name, Value: hijacked.ParameterStatuses[name]})
	}
	// What came together with the last message that was read.
	for hijacked.Frontend.ReadBufferLen() > 0 {
		message, err := hijacked.Frontend.Receive()
		if err != nil {
			return refuse(backend, "08006", err)
		}
		backend.Send(message)
	}
	return nil
}

// config is how the proxy is entered: over TLS that proves it, with a token as password
// and in no other way, with what the client asks for.
func (s *Server) config(ctx context.Context, parameters map[string]string) (*pgconn.Config, error) {
	token, err := s.to.Token(ctx)
	if err != nil {
		return nil, err
	}
	address, err := s.to.Address(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("not an address: %q: %w", address, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("not an address: %q: %w", address, err)
	}
	config, err := pgconn.ParseConfig("sslmode=disable require_auth=password")
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	config.Host, config.Port, config.Fallbacks = host, uint16(number), nil
	config.TLSConfig = &tls.Config{RootCAs: s.to.Authorities, ServerName: s.to.Host, MinVersion: tls.VersionTLS12}
	config.SSLNegotiation, config.ConnectTimeout = "postgres", 0
	config.ValidateConnect, config.AfterConnect = nil, nil
	config.User, config.Password, config.Database = parameters["user"], token, parameters["database"]
	if config.Database == "" {
		config.Database = config.User // as every server has it
	}
	config.RuntimeParams = map[string]string{"doorward.authentication": "password"}
	for name, value := range parameters {
		if name != "user" && name != "database" && !strings.HasPrefix(name, "_pq_.") {
			config.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// refused passes on why the proxy, or the target, does not let the client in.
func refused(backend *pgproto3.Backend, err error) error {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return refuse(backend, "08006", fmt.Errorf("cannot reach the proxy: %w", err))
	}
	backend.Send(&pgproto3.ErrorResponse{
		Severity: said.Severity, SeverityUnlocalized: said.SeverityUnlocalized, Code: said.Code, Message: said.Message, Detail: said.Detail, Hint: said.Hint,
	})
	return errors.Join(err, backend.Flush())
}
