// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	// heard is how many bytes came.
	heard *atomic.Int64
}

// knowsOpenSSH says whether a client takes requests that OpenSSH sends to its own alone.
func (p *peer) knowsOpenSSH() bool { return strings.HasPrefix(string(p.ClientVersion()), openssh) }

// Serve implements protocol.Handler.
func (h handler) Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	l := &login{entry: entry}
	defer l.close() // what the session rested on
	caller, proven, err := l.take(ctx, conn)
	if err != nil || caller == nil {
		return err
	}
	err = h.enter(ctx, caller, proven)
	_ = caller.Close() // often closed already
	drop(caller)
	if refusal := (*access.Refusal)(nil); errors.As(err, &refusal) {
		return nil // told, and on record
	}
	return err
}

// take takes the client's handshake. Without an error and without a caller, the client was
// turned away, which is on record.
func (l *login) take(ctx context.Context, conn net.Conn) (*peer, *ssh.ServerConn, error) {
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)
	until := time.Now().Add(loginBound)
	_ = conn.SetDeadline(until)
	release := sync.OnceValue(relay.Interrupt(ctx, conn))
	defer release()

	present, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	l.ctx, l.over, l.present, l.until = ctx, over, present, until
	first := &opening{Conn: conn, client: true, gone: gone, proposed: make(chan struct{})}
	client, err := first.greet()
	if err != nil {
		return nil, nil, l.failed(first, err)
	}
	config, err := l.config(client)
	if err != nil {
		return nil, nil, errors.Join(err, l.entry.Reject(context.WithoutCancel(ctx), err.Error()))
	}
	server, channels, requests, err := ssh.NewServerConn(first, config)
	if err != nil {
		return nil, nil, l.failed(first, err)
	}
	first.proven.Store(true)
	caller := &peer{server, channels, requests, &first.heard}
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
	entry := l.entry.Routed()
	var tried *ssh.ServerAuthError
	switch refused := first.refused(); {
	case refused != nil:
		return entry.Reject(ctx, refused.Error())
	case l.refusal != nil && l.recorded:
		return nil
	case l.refusal != nil:
		return entry.Reject(ctx, l.refusal.Message)
	case errors.Is(context.Cause(l.ctx), errAttempts):
		return entry.Reject(ctx, errAttempts.Error())
	case l.away:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		return nil
	case errors.As(err, &tried) && !slices.ContainsFunc(tried.Errors, func(e error) bool { return !errors.Is(e, ssh.ErrNoAuth) }):
		return nil // it only asked which methods there are
	}
	return entry.Reject(ctx, identity.Shorten(explained(err)))
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
func (h handler) enter(ctx context.Context, caller *peer, conn *ssh.ServerConn) error {
	who, err := provenCaller(conn)
	if err != nil {
		return err
	}
	asked := parseUser(conn.User())
	grant, err := who.caller.Authorize(ctx,
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

	s := &session{grant: grant, caller: caller, cancel: cancel, deciding: make(chan struct{}, 1), held: make(chan struct{})}
	_, s.connection = who.entry.Connection()
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
