// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/relay"
)

// Why a session is over.
var (
	errLeft       = errors.New("the client left")
	errTargetGone = errors.New("the target closed the connection")
)

// peer is one side of a session: its connection, and what it asks for.
type peer struct {
	ssh.Conn
	channels <-chan ssh.NewChannel
	requests <-chan *ssh.Request
}

// Serve implements protocol.Handler.
func (h handler) Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	caller, proven, err := h.login(ctx, conn, entry)
	if err != nil || caller == nil {
		return err
	}
	err = h.enter(ctx, caller, proven, entry)
	_ = caller.Close() // often closed already
	drop(caller)
	if refusal := (*access.Refusal)(nil); errors.As(err, &refusal) {
		return nil // told, and on record
	}
	return err
}

// login takes the client's handshake. Without an error and without a caller, the client was
// turned away, which is on record.
func (h handler) login(ctx context.Context, conn net.Conn, entry *access.Entry) (*peer, *ssh.ServerConn, error) {
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)
	_ = conn.SetDeadline(time.Now().Add(loginBound))
	release := sync.OnceValue(relay.Interrupt(ctx, conn))
	defer release()

	l := &login{ctx: ctx, entry: entry, over: over}
	config, err := l.config()
	if err != nil {
		return nil, nil, errors.Join(err, entry.Reject(context.WithoutCancel(ctx), err.Error()))
	}
	first := &opening{Conn: conn, client: true, proposed: make(chan struct{})}
	server, channels, requests, err := ssh.NewServerConn(first, config)
	if err != nil {
		return nil, nil, l.failed(first, err)
	}
	first.proven.Store(true)
	caller := &peer{server, channels, requests}
	if !release() {
		_ = caller.Close()
		drop(caller)
		return nil, nil, nil
	}
	_ = conn.SetDeadline(time.Time{})
	return caller, server, nil
}

// failed puts on record why nobody was proven, where the road has not. A client that just went
// away, or said nothing in time, has tried nothing.
func (l *login) failed(first *opening, err error) error {
	// The handshake may have ended because the context did, which must not keep the record.
	ctx := context.WithoutCancel(l.ctx)
	var tried *ssh.ServerAuthError
	switch refused := first.refused(); {
	case refused != nil:
		return l.entry.Reject(ctx, refused.Error())
	case l.refusal != nil && l.recorded:
		return nil
	case l.refusal != nil:
		return l.entry.Reject(ctx, l.refusal.Message)
	case errors.Is(context.Cause(l.ctx), errAttempts):
		return l.entry.Reject(ctx, errAttempts.Error())
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		return nil
	case errors.As(err, &tried) && len(tried.Errors) <= 1:
		return nil // it only asked which methods there are
	}
	return l.entry.Reject(ctx, identity.Shorten(explained(err)))
}

// drop lets what is left of a side run out, so that its goroutine ends. The connection is closed.
func drop(p *peer) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range p.requests {
		}
	}()
	for range p.channels {
	}
	<-done
}

// enter opens the session for a proven caller and serves it.
func (h handler) enter(ctx context.Context, caller *peer, conn *ssh.ServerConn, entry *access.Entry) error {
	who, err := provenCaller(conn)
	if err != nil {
		return err
	}
	asked := parseUser(conn.User())
	grant, err := who.Authorize(ctx,
		record.Attribute{Name: "requestedUser", Value: asked.user},
		record.Attribute{Name: "clientVersion", Value: string(conn.ClientVersion())})
	if err != nil {
		turnAway(ctx, caller, access.AsRefusal(err))
		return err
	}
	var reason string
	defer func() { grant.Close(reason) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(grant.Context(), func() { cancel(context.Cause(grant.Context())) })()

	s := &session{grant: grant, caller: caller, cancel: cancel, deciding: make(chan struct{}, 1)}
	_, s.connection = entry.Connection()
	if s.options, err = parseOptions(grant.Options()); err == nil {
		s.target, err = h.dial(ctx, s, asked)
	}
	if err != nil {
		refusal := access.AsRefusal(err)
		if ctx.Err() != nil {
			refusal = &access.Refusal{Reason: access.ReasonSessionEnded, Message: context.Cause(ctx).Error()}
		}
		reason = refusal.Message
		turnAway(ctx, caller, refusal)
		return refusal
	}
	defer func() {
		_ = s.target.Close() // often closed already
		drop(s.target)
	}()
	reason = s.run(ctx).Error()
	return nil
}
