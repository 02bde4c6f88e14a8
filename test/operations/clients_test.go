// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// session is a session of somebody through a proxy.
type session struct {
	*pgconn.PgConn
	// local is the client's address, by which the AuditSession is found.
	local string
}

// dial opens a session at a proxy.
func dial(ctx context.Context, t *testing.T, proxy *stack.Proxy, user string, groups ...string) (*session, error) {
	t.Helper()
	token, err := world.Issuer.Token(stack.GatewayAudience, user, groups...)
	must(t, err)
	config, err := pgconn.ParseConfig(world.PSQL(proxy) + " connect_timeout=20")
	must(t, err)
	config.Password = token
	s := &session{}
	config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		s.local = conn.LocalAddr().String()
		return conn, nil
	}
	if s.PgConn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, err
	}
	return s, nil
}

// login opens a session that ends with the test.
func login(t *testing.T, proxy *stack.Proxy, user string, groups ...string) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	s, err := dial(ctx, t, proxy, user, groups...)
	if err != nil {
		t.Fatalf("%s cannot log in: %v", user, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// run executes one text.
func (s *session) run(ctx context.Context, statement string) error {
	_, err := s.Exec(ctx, statement).ReadAll()
	return err
}

// must is run where nothing may fail.
func (s *session) must(t *testing.T, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := s.run(ctx, statement); err != nil {
		t.Fatalf("%q: %v", statement, err)
	}
}

// visit opens a session, asks once, and leaves.
func visit(ctx context.Context, t *testing.T, proxy *stack.Proxy, user, statement string, groups ...string) error {
	t.Helper()
	s, err := dial(ctx, t, proxy, user, groups...)
	if err != nil {
		return err
	}
	return errors.Join(s.run(ctx, statement), s.Close(ctx))
}

// shown says whether the AuditSession of a session exists in a phase.
func shown(ctx context.Context, s *session, phase v1alpha1.SessionPhase) error {
	var list v1alpha1.AuditSessionList
	if err := world.Admin.List(ctx, &list, client.InNamespace(stack.Namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		if object := &list.Items[i]; object.Spec.ClientAddress == s.local && object.Status.Phase == phase {
			return nil
		}
	}
	return fmt.Errorf("no AuditSession of client %s is %s", s.local, phase)
}
