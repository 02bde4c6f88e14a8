// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
)

// start decides on a shell, a command or a subsystem, and runs it.
func (p *program) start(ctx context.Context, request *ssh.Request, running *sync.WaitGroup) error {
	if p.started {
		_ = request.Reply(false, nil)
		return errMessage
	}
	p.started = true
	w, err := p.wants(request)
	if err != nil {
		_ = request.Reply(false, nil)
		p.end("Doorward: malformed message\r\n")
		return err
	}
	// Clients show what a program says, once they were told that it runs, and not why a request
	// failed. So it is said to run, from when there is something to say.
	var answer sync.Once
	taken := func() { answer.Do(func() { _ = request.Reply(true, nil) }) }
	held, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	decided := make(chan struct{})
	w.tell = func(text string) {
		taken()
		p.say(text)
		if p.terminal != nil {
			p.readAhead(decided, func() { cancel(errInterrupted) })
		}
	}
	select {
	case <-p.before:
	case <-ctx.Done():
	}
	permit, err := p.decide(held, &w.asking)
	close(decided)
	if err != nil {
		if refusal := refusalOf(ctx, err); refusal != nil {
			status := uint32(statusRefused)
			if errors.Is(context.Cause(held), errInterrupted) {
				status = statusInterrupted
			}
			taken()
			p.endWith(said(w.hint(refusal)), status)
			return err
		}
		p.end("")
		return err
	}
	r := &run{program: p, wanted: w, permit: permit, meter: permit.Meter(), answer: permit.Answer()}
	if err := r.open(ctx, request); err != nil {
		permit.Done(failure("not started"))
		if errors.Is(err, errNoStart) {
			// The target's own answer, where nothing was said before: a client may go on to ask for
			// something else on this channel, as PuTTY's psftp does where there is no subsystem.
			answer.Do(func() {
				_ = request.Reply(false, nil)
				p.started = false
			})
			if !p.started {
				return err
			}
		}
		taken()
		p.endWith("Doorward: "+plain(err.Error())+"\r\n", statusEnded)
		return err
	}
	taken()
	running.Go(func() { r.carry(ctx) })
	return nil
}

// run is one program that was permitted.
type run struct {
	*program
	wanted *wanted
	permit *access.Permit
	tally  tally

	// requests are those of the target's channel.
	requests <-chan *ssh.Request

	// counting makes one chunk follow the other, of two streams; it guards what is below.
	counting sync.Mutex
	meter    *access.Meter
	answer   *access.Answer
	masked   masked
	// cut is why the rest does not reach the caller; nil for nothing.
	cut *access.Refusal
}

// The errors that callers are told when the target does not start what was permitted.
var (
	errNoChannel  = errors.New("the target opens no session")
	errNoTerminal = errors.New("the target gives no terminal")
	errNoStart    = errors.New("the target does not start it")
)

// open starts the program at the target, with what was set before.
func (r *run) open(ctx context.Context, request *ssh.Request) error {
	if err := r.permit.Durable(ctx); err != nil {
		return access.AsRefusal(err)
	}
	// A recording that cannot begin is none: nothing is started then.
	tape, err := r.record()
	if err != nil {
		return access.AsRefusal(err)
	}
	channel, requests, err := r.openAt(r.session.target, channelSession, nil)
	if err != nil {
		_ = tape.close()
		return errNoChannel
	}
	if err := r.begin(ctx, channel, request); err != nil {
		_ = tape.close()
		_ = channel.Close()
		r.abandon(requests)
		return err
	}
	r.requests = requests
	r.mu.Lock()
	r.program.target, r.tape = channel, tape
	r.mu.Unlock()
	r.session.mu.Lock()
	r.unstarted--
	r.session.mu.Unlock()
	return nil
}

// abandon waits for the target to close a channel. One that does not keeps nobody from being told
// why nothing was started, as long as there is room for more channels.
func (s *session) abandon(requests <-chan *ssh.Request) {
	if !s.enter() {
		ssh.DiscardRequests(requests)
		return
	}
	s.serving.Go(func() {
		defer s.leave()
		ssh.DiscardRequests(requests)
	})
}

// begin sets what the client has asked for before, and starts the program.
func (r *run) begin(ctx context.Context, channel ssh.Channel, request *ssh.Request) error {
	if err := r.prepare(channel); err != nil {
		return err
	}
	// The target may have taken its time, and the session be over.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ok, err := channel.SendRequest(request.Type, true, request.Payload); err != nil || !ok {
		return errNoStart
	}
	return nil
}

// prepare sets what the client has asked for before.
func (r *run) prepare(channel ssh.Channel) error {
	for _, v := range r.env {
		o := outcome(succeeded)
		if ok, err := channel.SendRequest(requestEnv, true, v.payload); err != nil || !ok {
			o = failure("not accepted") // as by sshd's AcceptEnv; clients expect no more
		}
		v.permit.Done(o)
	}
	if r.terminal != nil {
		if ok, err := channel.SendRequest(requestTerminal, true, ssh.Marshal(r.terminal)); err != nil || !ok {
			return errNoTerminal
		}
	}
	if r.agent != nil {
		if !r.passAgent(channel) {
			r.say("Doorward: the target does not take the agent\r\n")
		}
	}
	if r.x11 != nil {
		if ok, err := channel.SendRequest(requestX11, true, ssh.Marshal(&r.display)); err != nil || !ok {
			r.say("Doorward: the target opens no windows (X11)\r\n")
		}
	}
	return nil
}

// passAgent asks the target to take the agent, and says whether it has it. An sshd takes it once in
// a connection, for all programs, and refuses it when it is asked again.
func (s *session) passAgent(channel ssh.Channel) bool {
	s.passing.Lock()
	defer s.passing.Unlock()
	ok, err := channel.SendRequest(requestAgent, true, nil)
	s.agentTaken = s.agentTaken || ok && err == nil
	return s.agentTaken
}
