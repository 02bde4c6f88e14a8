// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"fmt"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// session is a session of somebody through a proxy.
type session struct{ *stacktest.Session }

// dial opens a session at a proxy.
func dial(ctx context.Context, t *testing.T, proxy *stack.Proxy, user string, groups ...string) (*session, error) {
	t.Helper()
	s, err := stacktest.Dial(ctx, world, proxy, issuer.Request{User: user, Groups: groups})
	return &session{s}, err
}

// login opens a session that ends with the test.
func login(t *testing.T, proxy *stack.Proxy, user string, groups ...string) *session {
	t.Helper()
	return &session{stacktest.Login(t, world, proxy, issuer.Request{User: user, Groups: groups})}
}

// run executes one text.
func (s *session) run(ctx context.Context, statement string) error {
	_, err := s.Run(ctx, statement)
	return err
}

// must is run where nothing may fail.
func (s *session) must(t *testing.T, statement string) {
	t.Helper()
	s.Must(t, statement)
}

// visit opens a session, asks once, and leaves.
func visit(ctx context.Context, t *testing.T, proxy *stack.Proxy, user, statement string, groups ...string) error {
	t.Helper()
	return stacktest.Visit(ctx, world, proxy, issuer.Request{User: user, Groups: groups}, statement)
}

// shown says whether the AuditSession of a session exists in a phase.
func shown(ctx context.Context, s *session, phase v1alpha1.SessionPhase) error {
	object, err := s.Object(ctx)
	if err == nil && object.Status.Phase != phase {
		err = fmt.Errorf("AuditSession %s of client %s is %s, want %s", object.Name, s.Local, object.Status.Phase, phase)
	}
	return err
}
