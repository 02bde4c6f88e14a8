// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stacktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
)

// Session is a session of somebody through a proxy.
type Session struct {
	*pgconn.PgConn
	// Notices are those that came, as long as somebody takes them.
	Notices chan *pgconn.Notice
	// Local is the client's address, by which the AuditSession is found, and Began
	// when it came: ports are used again.
	Local string
	Began time.Time

	world *stack.Stack
}

// Dial opens a session at a proxy.
func Dial(ctx context.Context, world *stack.Stack, proxy *stack.Proxy, who issuer.Request) (*Session, error) {
	config, err := world.Config(proxy, who)
	if err != nil {
		return nil, err
	}
	s := &Session{Notices: make(chan *pgconn.Notice, 16), Began: time.Now(), world: world}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		select {
		case s.Notices <- notice:
		default: // nobody has taken the former ones
		}
	}
	config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		s.Local = conn.LocalAddr().String()
		return conn, nil
	}
	if s.PgConn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, err
	}
	return s, nil
}

// Login opens a session that ends with the test.
func Login(t *testing.T, world *stack.Stack, proxy *stack.Proxy, who issuer.Request) *Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	defer cancel()
	s, err := Dial(ctx, world, proxy, who)
	if err != nil {
		t.Fatalf("%s cannot log in: %v", who.User, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// Visit opens a session at a proxy, executes one text, and leaves.
func Visit(ctx context.Context, world *stack.Stack, proxy *stack.Proxy, who issuer.Request, statement string) error {
	s, err := Dial(ctx, world, proxy, who)
	if err != nil {
		return err
	}
	_, err = s.Run(ctx, statement)
	return errors.Join(err, s.Close(ctx))
}

// Run executes one text in the simple protocol and returns the rows of its last
// statement, fields joined by "|".
func (s *Session) Run(ctx context.Context, statement string) ([]string, error) {
	results, err := s.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var rows []string
	for _, row := range results[len(results)-1].Rows {
		fields := make([]string, len(row))
		for i, field := range row {
			fields[i] = string(field)
		}
		rows = append(rows, strings.Join(fields, "|"))
	}
	return rows, nil
}

// Must is Run where nothing may fail.
func (s *Session) Must(t *testing.T, statement string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	defer cancel()
	rows, err := s.Run(ctx, statement)
	if err != nil {
		t.Fatalf("%q: %v", statement, err)
	}
	return rows
}

// Leave ends the session as a well-behaved client does.
func (s *Session) Leave(t *testing.T) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("cannot leave: %v", err)
	}
}

// Object finds the session's AuditSession.
func (s *Session) Object(ctx context.Context) (*v1alpha1.AuditSession, error) {
	all, err := s.world.AuditSessions(ctx)
	if err != nil {
		return nil, err
	}
	object := all[s.Local]
	if object == nil || object.Spec.StartedAt.Time.Before(s.Began.Truncate(time.Second)) {
		return nil, fmt.Errorf("no AuditSession of client %s since %s", s.Local, s.Began)
	}
	return object, nil
}
