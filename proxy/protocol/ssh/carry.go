// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/record"
)

const (
	// quiet is how long nothing must come before a program that has ended counts as having said
	// all, where something that it started keeps its output open.
	quiet = 250 * time.Millisecond
	// emptyBound is how long what a client has sent last may take to be taken by the program.
	emptyBound = 5 * time.Second
)

// carry moves the bytes of a program until it has ended, and puts the result on record.
func (r *run) carry(ctx context.Context) {
	target := r.running()
	if !r.wanted.shell && !r.wanted.files && r.terminal == nil {
		// A command works by itself; who has a terminal is idle where nothing is shown or typed.
		defer r.work()()
	}
	var input, ended sync.WaitGroup
	output := make(chan struct{})
	taken := make(chan struct{})
	var came atomic.Int64
	came.Store(time.Now().UnixNano())
	watch := &exitWatch{run: r, output: output, came: &came}
	ended.Go(func() { watch.follow(r.requests) })
	var cut error
	if r.wanted.files {
		cut = r.files(ctx, target)
		close(taken)
		close(output)
	} else {
		input.Go(func() {
			defer close(taken)
			r.input(target)
		})
		// The target's channel closes when the client's did, after what came last was taken.
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(closed)
			within(taken, emptyBound)
			_ = target.Close()
		})
		defer func() {
			if !stop() {
				<-closed
			}
		}()
		cut = r.outputs(target, &came)
		close(output)
	}
	if cut != nil {
		_ = target.Close()
	}
	// Nothing comes from a target after it has closed the channel. A client that heard the end of
	// the output may close its channel at once, and miss how the program ended: so that is said
	// first, and the end of the output with that of the channel.
	ended.Wait()
	_ = target.Close()
	if cut != nil {
		text := ""
		if told := (*access.Refusal)(nil); errors.As(cut, &told) {
			text = "\r\n" + said(told)
		}
		r.end(text)
	}
	if cut == nil && watch.exit() == nil && within(ctx.Done(), quiet) {
		// Nobody said how it ended, since the session did.
		r.end("\r\nDoorward: " + plain(context.Cause(ctx).Error()) + "\r\n")
	}
	if err := r.tape.close(); err != nil {
		r.cancel(err)
	}
	result := exited(watch.exit())
	if cut != nil {
		result.Outcome, result.ErrorCode = failed, "cut off"
	}
	r.permit.Done(r.tally.into(result))
	r.hangUp()
	input.Wait()
}

// hangUp closes the client's channel once everything was said.
func (p *program) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		_ = p.channel.CloseWrite()
	}
	_ = p.channel.Close()
}

func (p *program) isEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// input carries what the client sends, until it ends.
func (r *run) input(target ssh.Channel) {
	buffer := newChunk()
	defer buffer.free()
	for {
		chunk := buffer.room()
		n, err := r.channel.Read(chunk)
		if n > 0 {
			r.touch()
			if r.terminal == nil {
				r.tape.input(chunk[:n])
			}
			if _, err := target.Write(chunk[:n]); err != nil {
				return // the program reads no more
			}
			r.tally.toTarget.Add(int64(n))
			buffer.came(n)
		}
		if err != nil {
			_ = target.CloseWrite()
			return
		}
	}
}

// outputs carries both of a program's streams until both have ended. An error ends the program.
func (r *run) outputs(target ssh.Channel, came *atomic.Int64) error {
	var streams sync.WaitGroup
	var second error
	streams.Go(func() { second = r.output(r.channel.Stderr(), target.Stderr(), target, came) })
	first := r.output(r.channel, target, target, came)
	streams.Wait()
	if first != nil {
		return first
	}
	return second
}

// output carries one stream: it is counted, kept and recorded before it is shown.
func (r *run) output(dst io.Writer, src io.Reader, target io.Closer, came *atomic.Int64) error {
	buffer := newChunk()
	defer buffer.free()
	for {
		chunk := buffer.room()
		n, err := src.Read(chunk)
		if n > 0 {
			came.Store(time.Now().UnixNano())
			r.touch()
			if refused := r.count(chunk[:n]); refused != nil {
				_ = target.Close() // which ends the other stream
				return refused
			}
			if _, err := dst.Write(chunk[:n]); err != nil {
				return nil // the client is gone; whoever watches it closes the target's channel
			}
			came.Store(time.Now().UnixNano())
			buffer.came(n)
		}
		if err != nil {
			return nil
		}
	}
}

// count takes what is about to be shown against limits, into the record and into the recording.
func (r *run) count(chunk []byte) error {
	r.counting.Lock()
	defer r.counting.Unlock()
	if r.cut != nil {
		return r.cut
	}
	if err := r.meter.Take(0, int64(len(chunk))); err != nil {
		r.cut = access.AsRefusal(err)
		return r.cut
	}
	r.answer.Content(chunk)
	shown := min(r.answer.Room(), len(chunk))
	r.answer.Show(chunk[:shown])
	if shown < len(chunk) {
		r.answer.Skip(0, int64(len(chunk)-shown))
	}
	if err := r.tape.output(chunk); err != nil {
		r.cut = access.AsRefusal(err)
		r.cancel(r.cut)
		return r.cut
	}
	r.tally.toCaller.Add(int64(len(chunk)))
	return nil
}

func (r *run) isCut() bool {
	r.counting.Lock()
	defer r.counting.Unlock()
	return r.cut != nil
}

// exitWatch waits for what the target says of a program's end.
type exitWatch struct {
	run    *run
	output <-chan struct{}
	came   *atomic.Int64

	mu   sync.Mutex // guards last
	last *record.Exit
}

func (w *exitWatch) exit() *record.Exit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// follow passes on what the target requests until it closes the channel.
func (w *exitWatch) follow(requests <-chan *ssh.Request) {
	for request := range requests {
		switch request.Type {
		case requestStatus, requestKilled:
			_ = request.Reply(w.exited(request) == nil, nil)
		case requestNoOutput, requestXonXoff:
			if len(request.Payload) <= 1 {
				_, _ = w.run.channel.SendRequest(request.Type, false, request.Payload)
			}
			_ = request.Reply(true, nil)
		default: // signs of life among them
			_ = request.Reply(false, nil)
		}
	}
}

// exited tells the client how the program ended, after what it said before.
func (w *exitWatch) exited(request *ssh.Request) error {
	var e record.Exit
	if request.Type == requestStatus {
		m, err := read[statusMessage](request.Payload)
		if err != nil {
			return err
		}
		e.Status = m.Status
	} else {
		m, err := read[killedMessage](request.Payload)
		if err != nil {
			return err
		}
		e.Signal, e.CoreDumped = m.Signal, m.Dumped
	}
	w.mu.Lock()
	again := w.last != nil
	if !again {
		w.last = &e
	}
	w.mu.Unlock()
	if again {
		return errMessage
	}
	for !within(w.output, quiet) {
		if time.Since(time.Unix(0, w.came.Load())) >= quiet {
			break
		}
	}
	if w.run.isEnded() || w.run.isCut() {
		return nil // that it ended well is not what came of it
	}
	_, _ = w.run.channel.SendRequest(request.Type, false, request.Payload)
	return nil
}
