// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
)

// Why a client that has no session yet is turned away.
var (
	// ErrHandshakeTimeout: the client took too long to become a session.
	ErrHandshakeTimeout = errors.New("the login took too long")
	// ErrCrowded: too many clients without a session, this one among the oldest.
	ErrCrowded = errors.New("too many logins at the same time; try again")
	// ErrInternal: a handler panicked.
	ErrInternal = errors.New("an internal error ended the session")
)

// visit is the life of one accepted connection.
type visit struct {
	server   *Server
	endpoint Endpoint
	conn     net.Conn
	cancel   context.CancelCauseFunc
	leave    func() // leaves the crowd of the unproven
	deadline *time.Timer

	mu     sync.Mutex // guards grants
	grants []*access.Grant
}

// serve speaks with one client. Whatever the protocol does, its sessions are
// closed, and their ends on record, when serve returns.
func (s *Server) serve(endpoint Endpoint, conn net.Conn) {
	ctx, cancel := context.WithCancelCause(s.life)
	defer cancel(nil)
	v := &visit{server: s, endpoint: endpoint, conn: conn, cancel: cancel}
	v.leave = s.unproven.enter(conn.RemoteAddr().String(), func() { cancel(ErrCrowded) })
	defer v.leave()
	v.deadline = time.AfterFunc(s.loginTimeout(endpoint.Handler), func() { cancel(ErrHandshakeTimeout) })
	defer v.deadline.Stop()
	// What is told to go and does not is cut.
	stop := context.AfterFunc(ctx, v.cutLater)
	defer stop()

	entry := endpoint.Gate.Entry(conn.RemoteAddr())
	entry.OnGrant(v.granted)
	entry.Offer(s.named)
	err := v.speak(ctx, entry)
	v.finish(ctx, entry, err)
}

// loginTimeout is how long a client of a handler may take to become a session.
func (s *Server) loginTimeout(handler protocol.Handler) time.Duration {
	if patient, ok := handler.(protocol.PatientHandler); ok {
		return max(s.options.HandshakeTimeout, patient.LoginTimeout())
	}
	return s.options.HandshakeTimeout
}

// granted is called by the road for each session of the connection.
func (v *visit) granted(grant *access.Grant) {
	v.deadline.Stop()
	v.leave()
	v.mu.Lock()
	v.grants = append(v.grants, grant)
	v.mu.Unlock()
	// It need not be the endpoint's Connection: the client may have named another.
	c := grant.Connection()
	v.server.options.Metrics.sessionsTotal.WithLabelValues(c.Namespace + "/" + c.Name).Inc()
	// A protocol that is stuck cannot keep a revoked session alive.
	context.AfterFunc(grant.Context(), v.cutLater)
}

// cutLater closes the connection once the protocol has had its time. Closing
// what is closed already does no harm.
func (v *visit) cutLater() {
	time.AfterFunc(v.server.options.CutTimeout, func() { _ = v.conn.Close() })
}

// speak runs the handler and turns a panic into an error.
func (v *visit) speak(ctx context.Context, entry *access.Entry) (err error) {
	defer func() {
		if value := recover(); value != nil {
			v.server.options.Metrics.panics.WithLabelValues(nameOf(entry.Routed())).Inc()
			// The value may hold bytes of the connection: its type must do.
			err = fmt.Errorf("%w: panic of type %T at\n%s", ErrInternal, value, debug.Stack())
		}
	}()
	return v.endpoint.Handler.Serve(ctx, v.conn, entry)
}

// finish closes what the handler left open. What is to be told is told of the Connection
// that the client was led to.
func (v *visit) finish(ctx context.Context, entry *access.Entry, err error) {
	entry = entry.Routed()
	v.mu.Lock()
	grants := v.grants
	v.mu.Unlock()
	internal := errors.Is(err, ErrInternal)
	for _, grant := range grants {
		if internal {
			grant.End(ErrInternal)
		}
		grant.Close("the client left")
	}
	log := v.server.options.Log.WithValues("Connection", reference(nameOf(entry)), "client", v.conn.RemoteAddr().String())
	switch {
	case internal:
		log.Error(err, "Handler panicked, connection closed")
		if len(grants) == 0 {
			if err := entry.Reject(context.WithoutCancel(ctx), ErrInternal.Error()); err != nil {
				log.Error(err, "Cannot record")
			}
		}
	case len(grants) == 0 && unprovenCause(ctx) != nil:
		v.server.options.Metrics.turnedAway.WithLabelValues(nameOf(entry)).Inc()
		log.V(1).Info("Turned away", "reason", unprovenCause(ctx).Error())
	case err != nil && !ordinary(err):
		log.V(1).Info("Connection ended", "reason", err.Error())
	}
}

// nameOf is the Connection of an entry, as metrics call it.
func nameOf(entry *access.Entry) string {
	namespace, name := entry.Connection()
	return namespace + "/" + name
}

func unprovenCause(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrHandshakeTimeout) || errors.Is(cause, ErrCrowded) {
		return cause
	}
	return nil
}

// ordinary says that an error is how connections end.
func ordinary(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled)
}
