// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/relay"
)

// part takes leave of both sides: what still runs at the target is canceled,
// the client is told why. It returns the reason for the record.
func (s *session) part(cause error) string {
	canceled := make(chan struct{})
	go func() {
		defer close(canceled)
		s.partTarget()
	}()
	defer func() { <-canceled }()

	refusal := &access.Refusal{}
	switch {
	case cause == nil, errors.Is(cause, errLeft), s.left.Load() && errors.Is(cause, errTargetClosed):
		return "the client left"
	case errors.As(cause, &refusal):
	case errors.Is(cause, errTargetClosed):
		refusal = &access.Refusal{Reason: access.ReasonUnavailable, Code: "08006", Message: "the target closed the connection"}
	case errors.Is(cause, errTarget):
		refusal = &access.Refusal{Reason: access.ReasonUnavailable, Code: stateProtocolViolation, Message: "the session was ended: " + cause.Error()}
	case s.grant.Context().Err() != nil, s.ended(cause):
		refusal = &access.Refusal{Reason: access.ReasonSessionEnded, Code: endCode(cause), Message: cause.Error(), Hint: endHint(cause)}
	default:
		var network net.Error
		if errors.As(cause, &network) {
			return "the connection was lost"
		}
		refusal = access.AsRefusal(cause)
	}
	s.farewell(refusal)
	return refusal.Message
}

// ending gives the end of a session its code and hint, wherever it was met.
func ending(refusal *access.Refusal) *access.Refusal {
	if refusal.Reason != access.ReasonSessionEnded || refusal.Code != "" || refusal.Hint != "" {
		return refusal
	}
	told := *refusal
	told.Code, told.Hint = endCode(refusal), endHint(refusal)
	return &told
}

// endCode is the SQLSTATE of a session's end; a session that was idle has the
// server's own.
func endCode(cause error) string {
	if errors.Is(cause, access.ErrIdle) {
		return stateIdleSession
	}
	return stateAdminShutdown
}

func endHint(cause error) string {
	switch {
	case errors.Is(cause, access.ErrIdle):
		return "Connect again. Sessions of this Connection may be silent for as long as its spec.session.idleTimeoutSeconds."
	case errors.Is(cause, access.ErrExpired):
		return "Connect again, with a new token where yours has expired. Sessions last as long as the token, and the Connection's spec.session.maxDurationSeconds."
	}
	return ""
}

// ended says whether a cause is the end of the context that Serve was given.
func (s *session) ended(cause error) bool { return errors.Is(context.Cause(s.ctx), cause) }

// farewell tells the client why the session ends, where its stream is whole.
func (s *session) farewell(refusal *access.Refusal) {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	if s.broken {
		return
	}
	_ = s.client.SetWriteDeadline(time.Now().Add(writeBound / 2))
	if _, err := s.toClient.Write(encode(nil, errorResponse("FATAL", refusal))); err != nil {
		return
	}
	if s.toClient.Flush() == nil {
		linger(s.client)
	}
}

// lingerBound is how long a client has to take the last words: a connection
// that is closed with unread bytes is reset, and the words may be lost.
const lingerBound = 200 * time.Millisecond

func linger(out io.Writer) {
	conn, ok := out.(net.Conn)
	if !ok {
		return
	}
	_ = relay.CloseWrite(conn)
	_ = conn.SetReadDeadline(time.Now().Add(lingerBound))
	_, _ = io.CopyN(io.Discard, conn, maxScratch)
}

// partTarget cancels what still runs and says goodbye.
func (s *session) partTarget() {
	s.mu.Lock()
	busy := s.owed()
	s.mu.Unlock()
	if busy {
		ctx, cancel := context.WithTimeout(context.Background(), writeBound)
		_ = s.target.cancelRunning(ctx, s.grant)
		cancel()
	}
	_ = s.target.conn.SetDeadline(time.Now().Add(writeBound / 2))
	_, _ = s.target.conn.Write([]byte{msgTerminate, 0, 0, 0, 4})
	_ = s.target.conn.Close()
}
