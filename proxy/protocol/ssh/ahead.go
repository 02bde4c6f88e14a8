// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"errors"
	"io"
)

const (
	// interruptKey is what a terminal in raw mode sends for Ctrl-C, which is VINTR unless its user
	// has chosen another one (RFC 4254, section 8).
	interruptKey = 3
	// maxAhead is how much of what is typed before a program starts is looked through, in bytes.
	// The rest waits unread, as all of it does where nothing is held.
	maxAhead = 64 << 10
)

// statusInterrupted is that of what Ctrl-C has ended, as shells have it.
const statusInterrupted = 130

var errInterrupted = errors.New("the client pressed Ctrl-C")

// typedAhead reads what is typed at a terminal while it is held what shall run there, and has it for
// the program afterwards.
type typedAhead struct {
	from io.Reader
	// done is closed when nothing is read ahead any more; kept is what was.
	done chan struct{}
	kept []byte
}

// readAhead calls interrupt when Ctrl-C is typed before decided is closed.
func (p *program) readAhead(decided <-chan struct{}, interrupt func()) {
	a := &typedAhead{from: p.stdin, done: make(chan struct{})}
	p.stdin = a
	p.serving.Go(func() { a.keep(decided, interrupt) })
}

func (a *typedAhead) keep(decided <-chan struct{}, interrupt func()) {
	defer close(a.done)
	chunk := make([]byte, 512)
	for len(a.kept) < maxAhead {
		n, err := a.from.Read(chunk)
		a.kept = append(a.kept, chunk[:n]...)
		select {
		case <-decided: // the key is for the program
			return
		default:
		}
		if bytes.IndexByte(chunk[:n], interruptKey) >= 0 {
			interrupt()
			return
		}
		if err != nil {
			return // whoever reads next hears it again
		}
	}
}

// Read implements io.Reader.
func (a *typedAhead) Read(p []byte) (int, error) {
	<-a.done
	if len(a.kept) > 0 {
		n := copy(p, a.kept)
		a.kept = a.kept[n:]
		return n, nil
	}
	return a.from.Read(p)
}
