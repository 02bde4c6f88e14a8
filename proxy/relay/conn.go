// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// ErrNoHalfClose is returned by [CloseWrite] for a connection that can only be
// closed as a whole.
var ErrNoHalfClose = errors.New("connection cannot be half closed")

// writeCloser is what *net.TCPConn, *net.UnixConn and *tls.Conn share.
type writeCloser interface{ CloseWrite() error }

// CloseWrite ends the sending side of a connection, so that the peer sees the
// end of the stream and can still be heard.
func CloseWrite(conn net.Conn) error {
	if c, ok := conn.(writeCloser); ok {
		return c.CloseWrite()
	}
	return ErrNoHalfClose
}

// Interrupt makes the end of ctx unblock all reads and writes of the
// connections, by a deadline in the past. Call stop when the context no longer
// governs them; it returns false where the deadline has been set. After stop
// returns, nothing touches the connections any more.
func Interrupt(ctx context.Context, conns ...net.Conn) (stop func() bool) {
	done := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(done)
		for _, conn := range conns {
			// A closed connection has nothing left to unblock.
			_ = conn.SetDeadline(time.Unix(1, 0))
		}
	})
	return func() bool {
		if release() {
			return true
		}
		<-done
		return false
	}
}

// Copy is a Pump's body for bytes that nobody looks at: it copies src to dst
// until src ends, then half closes dst. Where dst cannot be half closed, the
// error is [ErrNoHalfClose], which ends the pair.
func Copy(dst, src net.Conn) error {
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return CloseWrite(dst)
}

// Splice passes on what two connections send to each other, which nobody looks at, until both
// have ended or either fails: then nothing waits for the other any more.
func Splice(ctx context.Context, a, b net.Conn) error {
	pump := func(dst, src net.Conn) Pump {
		return func(ctx context.Context) error {
			stop := Interrupt(ctx, dst, src)
			defer stop()
			return Copy(dst, src)
		}
	}
	return Pair(ctx, pump(b, a), pump(a, b))
}
