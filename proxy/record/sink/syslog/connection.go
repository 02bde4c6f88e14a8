// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

var (
	// errEarly is why a batch is not accepted: a server that is going away
	// closes connections in good order too.
	errEarly = errors.New("the server closed the connection before it had read everything")
	// errCut: RFC 5425 section 4.4 asks for close_notify. Without it anyone on the
	// way could end the connection in the server's name and swallow records.
	errCut = errors.New("the server, or someone on the way, ended the connection without close_notify: " +
		"it was killed, or it does not close TLS as RFC 5425 asks (rsyslog: use the stream driver ossl, not gtls)")
	errTalks = errors.New("the server sent data, which no syslog server does: is it one?")
)

// past ends all reads and writes of a connection at once.
var past = time.Unix(1, 0)

// send delivers data over a connection of its own. It returns nil only when the
// server has read all of it and closed the connection in good order.
//
// No TLS session is resumed: the server is verified in full each time, and
// servers on OpenSSL that ask for client certificates fail at it unless they
// set a session id context, as rsyslog's do.
func send(ctx context.Context, address string, config *tls.Config, data []byte) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("connection is not TCP: %q", conn.RemoteAddr())
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(past) })
	defer stop()
	if config == nil {
		return deliver(tcp, tcp, data)
	}
	watched := &watchedConn{TCPConn: tcp}
	secure := tls.Client(watched, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return deliver(tcp, &tlsStream{Conn: secure, below: watched}, data)
}

// watchedConn notes that the connection has ended.
type watchedConn struct {
	*net.TCPConn
	ended atomic.Bool
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// tlsStream ends only with close_notify: crypto/tls takes the end of the
// connection below for the same, where it falls between two TLS records. But so
// ends the connection of a server that was killed.
type tlsStream struct {
	*tls.Conn
	below *watchedConn
}

func (s *tlsStream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if errors.Is(err, io.EOF) && s.below.ended.Load() {
		err = errCut
	}
	return n, err
}

// stream is a TCP connection, or TLS on it.
type stream interface {
	io.ReadWriter
	CloseWrite() error
}

// deliver sends data and the end of it, and awaits the server's end.
func deliver(tcp *net.TCPConn, to stream, data []byte) error {
	var sent atomic.Bool
	answer := make(chan error, 1)
	go func() {
		err := awaitEnd(to)
		if err == nil && !sent.Load() {
			err = errEarly
		}
		if err != nil {
			_ = tcp.SetDeadline(past) // nothing more needs to be written
		}
		answer <- err
	}()
	_, err := to.Write(data)
	if err == nil {
		sent.Store(true)
		err = to.CloseWrite()
	}
	// Where the server broke the connection, what it said last, such as why it
	// refused a certificate, tells more than that it cannot be written to.
	if said := <-answer; said != nil && (err == nil || !errors.Is(said, os.ErrDeadlineExceeded)) {
		return said
	}
	if err != nil {
		return err
	}
	return closedInOrder(tcp)
}

// awaitEnd reads up to the server's end of the stream. Over TLS that is its
// close_notify: a connection that a killed server leaves is an error.
func awaitEnd(from io.Reader) error {
	var data [1]byte
	n, err := from.Read(data[:])
	switch {
	case n > 0:
		return errTalks
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return io.ErrNoProgress
	}
	return fmt.Errorf("the server did not take everything: %w", err)
}

// closedInOrder makes sure, after the server's end of the stream, that the
// server had everything by then. One that closes while something is on its way
// has not acknowledged it, and one that closes without having read all that it
// was sent resets the connection.
func closedInOrder(tcp *net.TCPConn) error {
	pending, err := unacknowledged(tcp)
	if err != nil {
		return fmt.Errorf("cannot tell what the server has: %w", err)
	}
	if pending > 0 {
		return errEarly
	}
	// Over TLS, the connection below is still open; over TCP this does nothing.
	_ = tcp.CloseWrite()
	return awaitEnd(tcp)
}
