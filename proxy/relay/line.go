// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net"
	"sync"
	"syscall"
)

// Line is a connection for a layer such as TLS to stand on. It says when a read
// is about to wait, so that what was gathered for somebody else is sent then
// and no sooner, and it joins writes that belong together into one.
type Line struct {
	net.Conn

	// raw is nil where the connection is no socket.
	raw syscall.RawConn
	// What follows belongs to whoever reads.
	waiting func() error
	try     func(fd uintptr) bool
	into    []byte
	n       int
	err     error

	// mu guards what follows.
	mu      sync.Mutex
	joining bool
	joined  *[]byte
	broken  error // of a write that was cut short
}

// NewLine makes a Line of a connection.
func NewLine(conn net.Conn) *Line {
	l := &Line{Conn: conn}
	if socket, ok := conn.(syscall.Conn); ok && rawReads {
		if raw, err := socket.SyscallConn(); err == nil {
			l.raw, l.try = raw, l.attempt
		}
	}
	return l
}

// LineOf finds the Line that a connection stands on; nil where there is none.
func LineOf(conn net.Conn) *Line {
	for conn != nil {
		switch c := conn.(type) {
		case *Line:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
	return nil
}

// BeforeWait has every later Read call wait before it waits for more, or sooner.
// An error of wait is that of the Read. It must not be called during a Read.
func (l *Line) BeforeWait(wait func() error) { l.waiting = wait }

// likelyMore is the size of a read, in bytes, after which more is likely there:
// that is tried before what was gathered is sent.
const likelyMore = 2 << 10

// Read implements net.Conn.
func (l *Line) Read(p []byte) (int, error) {
	if l.raw == nil || l.n < likelyMore || len(p) == 0 {
		if l.waiting != nil {
			if err := l.waiting(); err != nil {
				return 0, err
			}
		}
		n, err := l.Conn.Read(p)
		l.n = n
		return n, err
	}
	l.into, l.n, l.err = p, 0, nil
	err := l.raw.Read(l.try)
	l.into = nil
	if err == nil {
		err = l.err
	}
	return l.n, err
}

// Join has writes kept until Part. It is for the one who writes.
func (l *Line) Join() {
	l.mu.Lock()
	l.joining = true
	l.mu.Unlock()
}

// Part writes what was kept since Join in one piece.
func (l *Line) Part() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joining = false
	if l.joined == nil {
		return l.broken
	}
	err := l.write(*l.joined)
	Buffers.Put(l.joined)
	l.joined = nil
	return err
}

// Write implements net.Conn. An error during Join is that of a later call.
func (l *Line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return 0, l.broken
	}
	if !l.joining {
		return l.Conn.Write(p)
	}
	if l.joined == nil {
		l.joined = Buffers.Get()
	}
	if len(*l.joined)+len(p) > cap(*l.joined) {
		if err := l.write(*l.joined); err != nil {
			return 0, err
		}
		*l.joined = (*l.joined)[:0]
		if len(p) > cap(*l.joined) {
			return len(p), l.write(p)
		}
	}
	*l.joined = append(*l.joined, p...)
	return len(p), nil
}

// write writes what somebody was told is written: where that fails, nothing
// can follow it. The mu is held.
func (l *Line) write(p []byte) error {
	if l.broken == nil && len(p) > 0 {
		_, l.broken = l.Conn.Write(p)
	}
	return l.broken
}

// CloseWrite ends the sending side; see [CloseWrite].
func (l *Line) CloseWrite() error { return CloseWrite(l.Conn) }
