// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/relay"
)

// Config says how a relay works.
type Config struct {
	// Road decides. Required.
	Road Road
	// Resolve says of an operation, with the paths as their text has them, whether the
	// target is to be asked where its paths lead: whether a rule about paths bears on it.
	// Nil asks for none. See the package's documentation for what either promises.
	Resolve func(op *Operation) bool
	// Waits is told, with true, when nothing is being decided and the target owes no answer,
	// so that silence is the client's, and with false when that is over. At first it is the
	// client's. Calls follow each other, from either pump, and must not block. May be nil.
	Waits func(forClient bool)
	// Interrupt makes reads and writes of both sides return; it is called once, when the
	// session must end. Nil closes both sides, where they are io.Closers.
	Interrupt func()
	// MaxHandles bounds the files and directories that are open at once, and
	// MaxOutstanding the requests that are not answered, beyond which the client waits.
	// Zero is the default of 1024 each.
	MaxHandles     int
	MaxOutstanding int
}

const (
	defaultHandles     = 1024
	defaultOutstanding = 1024
)

// The errors that say who broke the protocol.
var (
	ErrClient = errors.New("the client does not keep to the SFTP protocol")
	ErrTarget = errors.New("the target does not keep to the SFTP protocol")
)

// errTargetLeft says that the target ended before the client did.
var errTargetLeft = errors.New("the target ended the SFTP session")

// session is one relay at work.
type session struct {
	config     Config
	client     io.Writer
	target     io.Writer
	targetSide io.ReadWriter
	fromClient *stream
	fromTarget *stream
	// decided says that the request at hand was decided; the requests pump's.
	decided bool
	// writes says that the client's last packet was a WRITE, so that more will come.
	writes bool
	// home is the target's working directory.
	home string
	// held is what digests hold of content out of order, in bytes.
	held atomic.Int64

	// out is held while a packet, or several, are written to the client.
	out sync.Mutex
	// holding says that the answers pump holds out, midway that it must go on to.
	holding, midway bool

	// woken is written to when an answer came while the requests pump waits.
	woken chan struct{}
	waits atomic.Bool
	// left says that the client will send nothing more.
	left atomic.Bool

	// mu guards what follows.
	mu    sync.Mutex
	owed  queue
	files files
	// reply is the target's answer to the relay's own question.
	reply *reply
}

// reply is an answer to a question of the relay's own.
type reply struct {
	status  Status
	message string
	path    string
}

// Run relays until the client leaves and the target has ended, which is a nil error; until
// one of them breaks the protocol or fails, or until ctx ends, with its cause. It closes
// neither side but as [Config.Interrupt] says; the client's end is passed on by the
// target's CloseWrite, where it has one. When it returns, every operation is done.
func Run(ctx context.Context, client, target io.ReadWriter, config Config) error {
	if config.MaxHandles == 0 {
		config.MaxHandles = defaultHandles
	}
	if config.MaxOutstanding == 0 {
		config.MaxOutstanding = defaultOutstanding
	}
	s := &session{
		config: config, client: client, target: target, targetSide: target, woken: make(chan struct{}, 1),
		owed:  queue{byID: map[uint32]*owed{}},
		files: files{byHandle: map[string]*file{}, closing: map[*file]struct{}{}},
	}
	interrupt := sync.OnceFunc(func() { s.interrupt(client, target) })
	s.owed.waits, s.owed.silent = config.Waits, true
	s.fromClient = &stream{src: client, write: s.toTarget, quiet: func() bool { return !s.writes }}
	s.fromTarget = &stream{src: target, write: s.toClient, flushed: s.letGo, quiet: s.quiet}
	s.fromClient.release()
	s.fromTarget.release()
	defer s.fromClient.release()
	defer s.fromTarget.release()
	defer s.over()

	stop := context.AfterFunc(ctx, interrupt)
	defer stop()
	if err := s.start(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		interrupt()
		return err
	}
	pump := func(run relay.Pump) relay.Pump {
		return func(pair context.Context) error {
			defer context.AfterFunc(pair, interrupt)()
			err := run(pair)
			switch {
			case ctx.Err() != nil: // the pair may not have heard of it yet
				return context.Cause(ctx)
			case pair.Err() != nil:
				return context.Cause(pair)
			}
			return err
		}
	}
	err := relay.Pair(ctx, pump(s.requests), pump(s.answers))
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

func (s *session) interrupt(sides ...io.ReadWriter) {
	if s.config.Interrupt != nil {
		s.config.Interrupt()
		return
	}
	for _, side := range sides {
		if c, ok := side.(io.Closer); ok {
			_ = c.Close()
		}
	}
}

// quiet says that the client waits for nothing.
func (s *session) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owed.count == 0
}

func (s *session) toTarget(b []byte) error {
	if err := writeAll(s.target, b); err != nil {
		return fmt.Errorf("cannot write to the target: %w", err)
	}
	return nil
}

// toClient writes answers; out is held.
func (s *session) toClient(b []byte) error {
	if err := writeAll(s.client, b); err != nil {
		return fmt.Errorf("cannot write to the client: %w", err)
	}
	return nil
}

// hold takes out for the answers pump, which lets it go when all is written and no packet
// is half written.
func (s *session) hold() {
	if !s.holding {
		s.out.Lock()
		s.holding = true
	}
}

func (s *session) letGo() {
	if s.holding && !s.midway {
		s.holding = false
		s.out.Unlock()
	}
}

func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		return io.ErrShortWrite
	}
	return err
}

// over ends the operations that are still open. No pump runs.
func (s *session) over() {
	for o := s.owed.first; o != nil; o = o.after {
		if o.permit != nil {
			o.permit.Done(Result{Outcome: Unknown})
		}
		if f := o.file; f != nil && f.permit != nil {
			s.finish(f, Unknown)
		}
	}
	for f := range s.files.closing {
		s.finish(f, Unknown)
	}
	for _, f := range s.files.byHandle {
		s.finish(f, Succeeded)
	}
}

// finish ends the operation of a file, once. Both pumps are done with it.
func (s *session) finish(f *file, outcome string) {
	if f.done {
		return
	}
	f.done = true
	result := f.result(outcome)
	result.Unclosed = !f.closed
	f.permit.Done(result)
}
