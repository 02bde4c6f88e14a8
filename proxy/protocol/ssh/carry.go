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
	d := r.detector()
	if r.wanted.files {
		cut = r.files(ctx, target, &came)
		close(taken)
		close(output)
	} else {
		input.Go(func() {
			defer close(taken)
			r.input(target, d)
		})
		// The target's channel closes when the client's did.
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(closed)
			r.closeTarget(target, taken)
		})
		defer func() {
			if !stop() {
				<-closed
			}
		}()
		cut = r.outputs(target, d.watch(target), &came)
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
	r.masked.into(&result, r.permit.Masks())
	r.permit.Done(r.tally.into(result))
	r.hangUp()
	input.Wait()
}

// closeTarget closes the target's channel, as the client closed its own, after what came last
// was taken. When the session is over, nothing more is taken: who is to be cut off may type on.
func (r *run) closeTarget(target io.Closer, taken <-chan struct{}) {
	bound := time.NewTimer(emptyBound)
	defer bound.Stop()
	select {
	case <-r.over:
	case <-taken:
	case <-bound.C:
	}
	_ = target.Close()
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
	close(p.told)
}

func (p *program) isEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// input carries what the client sends, until it ends.
func (r *run) input(target ssh.Channel, d *detector) {
	buffer := newChunk()
	defer buffer.free()
	for {
		chunk := buffer.room()
		n, err := r.stdin.Read(chunk)
		if n > 0 {
			r.touch()
			if r.terminal == nil && r.tape.input(chunk[:n]) != nil {
				return // what is not on record is not said
			}
			lines := d.lines(chunk[:n])
			if _, err := target.Write(chunk[:n]); err != nil {
				return // the program reads no more
			}
			r.tally.toTarget.Add(int64(n))
			if d.judge(lines) {
				return
			}
			buffer.came(n)
		}
		if err != nil {
			_ = target.CloseWrite()
			d.judge(d.last())
			return
		}
	}
}

// outputs carries both of a program's streams until both have ended; shown is what it says on the
// first. An error ends the program.
func (r *run) outputs(target ssh.Channel, shown io.Reader, came *atomic.Int64) error {
	var streams sync.WaitGroup
	streams.Go(func() { r.output(r.errors, target.Stderr(), target, came) })
	r.output(r.channel, shown, target, came)
	streams.Wait()
	return r.refused()
}

// output carries one stream: it is masked, counted, kept and recorded before it is shown.
func (r *run) output(dst io.Writer, src io.Reader, target io.Closer, came *atomic.Int64) {
	v := r.veil(func(text []byte) error {
		if err := r.count(text); err != nil {
			_ = target.Close() // which ends the other stream
			return err
		}
		// Where the client is gone, whoever watches it closes the target's channel.
		_, err := dst.Write(text)
		return err
	})
	defer func() { r.hid(v.end()) }()
	buffer := newChunk()
	defer buffer.free()
	for {
		chunk := buffer.room()
		n, err := src.Read(chunk)
		if n > 0 {
			came.Store(time.Now().UnixNano())
			r.touch()
			if v.write(chunk[:n]) != nil {
				return
			}
			came.Store(time.Now().UnixNano())
			buffer.came(n)
		}
		if err != nil {
			return
		}
	}
}

func (r *run) hid(found int, rules uint64) {
	r.counting.Lock()
	defer r.counting.Unlock()
	r.masked.values += int64(found)
	r.masked.rules |= rules
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

// refused is why the rest is not shown, or nil.
func (r *run) refused() error {
	r.counting.Lock()
	defer r.counting.Unlock()
	if r.cut == nil {
		return nil
	}
	return r.cut
}
