// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package postgres is a PostgreSQL server on this machine for clients that cannot get a
// token, such as GUI tools: it checks a password of its own by SCRAM-SHA-256 (RFC 7677),
// enters the proxy with a token over TLS, and from then on passes bytes both ways.
package postgres

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/multigres/multigres/go/common/pgprotocol/scram"

	"github.com/doorward/doorward/cli/connect/onward"
)

const (
	// greetingTime bounds what comes before the way onward: a client on this machine is
	// quick, and an open connection that says nothing costs us one.
	greetingTime = 30 * time.Second
	// maxGreeting bounds a message of the client's before it is let in, in bytes.
	maxGreeting = 64 << 10
	// iterations of PBKDF2. The password is random, so that more would prove no more.
	iterations = 4096
	// cancelTime bounds a request to cancel.
	cancelTime = 30 * time.Second
)

// errPassword is all that a client is told.
var errPassword = errors.New("password authentication failed")

// Server serves clients. It is safe for concurrent use.
type Server struct {
	to     onward.Way
	secret *scram.ScramHash

	mu       sync.Mutex // guards sessions
	sessions map[key]func(context.Context) error
}

// key is what a session is cancelled by. It is made here: the proxy's own key stays
// between this server and the proxy.
type key struct{ process, secret uint32 }

// New makes a server that lets in whoever has the password.
func New(to onward.Way, password string) (*Server, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("cannot make the password's proof: %w", err)
	}
	return &Server{to: to, sessions: map[key]func(context.Context) error{}, secret: &scram.ScramHash{
		Iterations: iterations, Salt: salt,
		StoredKey: scram.ComputeStoredKey(scram.ComputeClientKey(salted)), ServerKey: scram.ComputeServerKey(salted),
	}}, nil
}

// Serve serves one connection until either side ends it, or ctx does. It closes conn.
func (s *Server) Serve(ctx context.Context, conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(greetingTime)); err != nil {
		return err
	}
	backend := pgproto3.NewBackend(conn, conn)
	backend.SetMaxBodyLen(maxGreeting)
	startup, err := s.greet(ctx, conn, backend)
	if err != nil || startup == nil {
		return err
	}
	if err := s.authenticate(backend, startup.Parameters["user"]); err != nil {
		return refuse(backend, "28P01", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return s.session(ctx, conn, backend, startup.Parameters)
}

// greet reads up to the startup message; nil where the connection was for a request to
// cancel.
func (s *Server) greet(ctx context.Context, conn net.Conn, backend *pgproto3.Backend) (*pgproto3.StartupMessage, error) {
	// TLS and GSSAPI may be asked for once each.
	for range 3 {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return nil, err
		}
		switch message := message.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case *pgproto3.CancelRequest:
			return nil, s.cancel(ctx, message)
		case *pgproto3.StartupMessage:
			if message.ProtocolVersion != pgproto3.ProtocolVersion30 {
				backend.Send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 0})
			}
			return message, nil
		}
	}
	return nil, errors.New("the client does not begin")
}

// authenticate is the server's side of SCRAM-SHA-256. The name is the client's own
// business: the token says who it is.
func (s *Server) authenticate(backend *pgproto3.Backend, user string) error {
	if user == "" {
		return errors.New("no user name in the startup message")
	}
	exchange := scram.NewScramAuthenticator(s.secret, "")
	backend.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: exchange.StartAuthentication()})
	if err := errors.Join(backend.Flush(), backend.SetAuthType(pgproto3.AuthTypeSASL)); err != nil {
		return err
	}
	message, err := backend.Receive()
	if err != nil {
		return err
	}
	begin, ok := message.(*pgproto3.SASLInitialResponse)
	if !ok {
		return errPassword
	}
	challenge, err := exchange.HandleClientFirst(begin.AuthMechanism, string(begin.Data), user)
	if err != nil {
		return errPassword
	}
	backend.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
	if err := errors.Join(backend.Flush(), backend.SetAuthType(pgproto3.AuthTypeSASLContinue)); err != nil {
		return err
	}
	if message, err = backend.Receive(); err != nil {
		return err
	}
	proof, ok := message.(*pgproto3.SASLResponse)
	if !ok {
		return errPassword
	}
	final, err := exchange.HandleClientFinal(string(proof.Data))
	if err != nil || !exchange.IsAuthenticated() {
		return errPassword
	}
	backend.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte(final)})
	return backend.Flush()
}

// refuse tells the client why, and ends the connection.
func refuse(backend *pgproto3.Backend, code string, err error) error {
	backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: err.Error()})
	return errors.Join(err, backend.Flush())
}

// register makes a session's key.
func (s *Server) register(cancel func(context.Context) error) (k key, forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var random [8]byte
		rand.Read(random[:])
		k = key{process: binary.BigEndian.Uint32(random[:4]), secret: binary.BigEndian.Uint32(random[4:])}
		if _, taken := s.sessions[k]; !taken {
			break
		}
	}
	s.sessions[k] = cancel
	return k, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, k)
	}
}

// cancel passes a request on where it has a session's key, and is silent else, as a server.
func (s *Server) cancel(ctx context.Context, asked *pgproto3.CancelRequest) error {
	if len(asked.SecretKey) != 4 {
		return nil
	}
	s.mu.Lock()
	cancel := s.sessions[key{process: asked.ProcessID, secret: binary.BigEndian.Uint32(asked.SecretKey)}]
	s.mu.Unlock()
	if cancel == nil {
		return nil
	}
	ctx, end := context.WithTimeout(ctx, cancelTime)
	defer end()
	return cancel(ctx)
}
