// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
)

// The exit statuses of what was not run, as shells have them, and of what was ended.
const (
	statusRefused = 126
	statusEnded   = 255
)

const (
	// maxQueued is how many requests of a channel may wait.
	maxQueued = 128
	// maxWaiting bounds all requests of a connection that wait, in bytes.
	maxWaiting = 4 << 20
)

// Why a channel ends before its program.
var (
	errChannelGone = errors.New("the client closed the channel")
	errCrowded     = errors.New("the client sent too many requests at once")
)

// program is one session channel (RFC 4254, section 6): it runs one shell, command or subsystem.
type program struct {
	*session
	// accepted is closed when channel is set.
	accepted chan struct{}
	channel  ssh.Channel
	// stdin is what the client sends to what runs.
	stdin io.Reader
	// errors is where the channel's standard error goes, of the program and of Doorward.
	errors io.Writer
	// before is closed when what the client asked for before was served.
	before <-chan struct{}

	// What follows belongs to the goroutine that serves the requests.
	started  bool
	terminal *terminalMessage
	env      []variable
	agent    *access.Permit
	x11      *access.Permit
	display  x11Message

	// exiting says that the target has said how the program ended, and told is closed when the
	// client has been told all there is of a program that ran.
	exiting atomic.Bool
	told    chan struct{}

	// mu guards the fields below, and makes one text follow the other.
	mu     sync.Mutex
	target ssh.Channel // nil until something was permitted
	tape   *tape       // nil where nothing is recorded
	ended  bool
}

// variable is one that was permitted, and is set before the program starts.
type variable struct {
	payload []byte
	permit  *access.Permit
}

// openProgram serves one session channel until both sides have closed it.
func (s *session) openProgram(ctx context.Context, asked ssh.NewChannel, before <-chan struct{}) {
	if len(asked.ExtraData()) > 0 {
		_ = asked.Reject(ssh.ConnectionFailed, "Doorward: malformed message")
		return
	}
	// Whoever ends the session finds it from before the client does.
	p := &program{session: s, before: before, accepted: make(chan struct{}), told: make(chan struct{})}
	if !s.add(p) {
		_ = asked.Reject(ssh.ResourceShortage, "Doorward: nothing runs on "+strconv.Itoa(maxUnstarted)+" channels of this connection: use or close them")
		return
	}
	channel, requests, err := asked.Accept()
	if err != nil {
		p.ended = true
	}
	if p.channel = channel; err == nil {
		p.stdin = channel
		p.errors = &oneByOne{to: channel.Stderr()}
	}
	close(p.accepted)
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		s.remove(p)
		cancel(nil)
		p.forget()
	}()
	if err != nil {
		return
	}
	// What is asked for waits here while something is held, so that the end of the channel is
	// seen at once.
	queue := make(chan *ssh.Request, maxQueued)
	s.serving.Go(func() {
		defer close(queue)
		defer cancel(errChannelGone)
		for request := range requests {
			if !s.queue(queue, request) {
				cancel(errCrowded)
				_ = request.Reply(false, nil)
				_ = channel.Close()
			}
		}
	})
	var running sync.WaitGroup
	for request := range queue {
		p.serve(ctx, request, &running)
		s.waiting.Add(-int64(len(request.Payload)))
	}
	running.Wait()
	_ = channel.Close() // often closed already
}

// add makes room for a session channel; false where there is none.
func (s *session) add(p *program) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unstarted >= maxUnstarted {
		return false
	}
	s.unstarted++
	s.programs[p] = struct{}{}
	return true
}

func (s *session) remove(p *program) {
	started := p.running() != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.programs, p)
	if !started {
		s.unstarted--
	}
}

// queue has a request wait for its turn; false where too much waits.
func (s *session) queue(queue chan<- *ssh.Request, request *ssh.Request) bool {
	size := int64(len(request.Payload))
	if s.waiting.Add(size) <= maxWaiting {
		select {
		case queue <- request:
			return true
		default:
		}
	}
	s.waiting.Add(-size)
	return false
}

// serve answers one request.
func (p *program) serve(ctx context.Context, request *ssh.Request, running *sync.WaitGroup) {
	var err error
	if keepsAlive(request.Type) {
		_ = request.Reply(false, nil)
		return
	}
	switch request.Type {
	case requestShell, requestExec, requestSubsystem:
		err = p.start(ctx, request, running)
	case requestTerminal:
		err = p.setTerminal(request.Payload)
	case requestEnv:
		err = p.setEnv(ctx, request.Payload)
	case requestAgent:
		err = p.setAgent(ctx, request.Payload)
	case requestX11:
		err = p.setX11(ctx, request.Payload)
	case requestResize:
		err = p.resize(request.Payload)
	case requestSignal:
		if m, wrong := read[textMessage](request.Payload); wrong != nil || !isWord(m.Text) {
			err = errMessage
		} else {
			err = pass[textMessage](p, request)
		}
	case requestBreak:
		err = pass[breakMessage](p, request)
	case requestNoOutput:
		err = pass[emptyMessage](p, request)
	case requestWinAdjust, requestSimple:
		err = errMessage // what PuTTY expects
	default:
		a := p.unspoken("request", request.Type)
		_, err = p.decide(ctx, &a)
	}
	if request.Type != requestShell && request.Type != requestExec && request.Type != requestSubsystem {
		_ = request.Reply(err == nil, nil)
	}
}

// pass hands a request on to the program that runs.
func pass[T any](p *program, request *ssh.Request) error {
	if _, err := read[T](request.Payload); err != nil {
		return err
	}
	target := p.running()
	if target == nil {
		return errMessage
	}
	_, err := target.SendRequest(request.Type, false, request.Payload)
	return err
}

func (p *program) running() ssh.Channel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// setTerminal keeps the terminal that the client wants until something may run in it.
func (p *program) setTerminal(payload []byte) error {
	m, err := read[terminalMessage](payload)
	if err != nil || p.started || p.terminal != nil {
		return errMessage
	}
	// The target puts it into the program's environment, where nobody decides on it.
	if m.Term != "" && !isWord(m.Term) {
		p.say("Doorward: TERM is no name of a terminal\r\n")
		return errMessage
	}
	p.terminal = &m
	return nil
}

// resize tells the program and the recording of the terminal's new size.
func (p *program) resize(payload []byte) error {
	m, err := read[resizeMessage](payload)
	if err != nil || p.terminal == nil {
		return errMessage
	}
	p.terminal.Columns, p.terminal.Rows, p.terminal.Width, p.terminal.Height = m.Columns, m.Rows, m.Width, m.Height
	target := p.running()
	if target == nil {
		return nil
	}
	p.tape.resize(m.Columns, m.Rows)
	_, err = target.SendRequest(requestResize, false, payload)
	return err
}

// setEnv decides on one variable. It is set when something starts.
func (p *program) setEnv(ctx context.Context, payload []byte) error {
	m, err := read[envMessage](payload)
	if err != nil || p.started || len(p.env) >= maxEnvironment {
		return errMessage
	}
	a := on(requestEnv, "env "+m.Name+"="+m.Value, actionEnv, m.Name)
	switch {
	case !isVariable(m.Name):
		a.accesses[0].Resource = ""
		a.refuse = never("a variable's name has letters, digits and _")
	case len(m.Value) > 4096:
		a.refuse = never("the value of variable " + m.Name + " is too long")
	case !harmless(m.Name, m.Value, p.options.Environment):
		a.accesses = append(a.accesses, unreadable(""))
	}
	permit, err := p.decide(ctx, &a)
	if err != nil {
		return err
	}
	p.env = append(p.env, variable{payload, permit})
	return nil
}

// setAgent decides whether the target may use the client's agent.
func (p *program) setAgent(ctx context.Context, payload []byte) error {
	if len(payload) > 0 || p.started || p.agent != nil {
		return errMessage
	}
	a := on(requestAgent, "agent", actionAgent, "")
	a.tell = p.teller()
	permit, err := p.decide(ctx, &a)
	if err != nil {
		return p.explain(ctx, err)
	}
	p.agent = permit
	p.session.mu.Lock()
	p.agents++
	p.session.mu.Unlock()
	return nil
}

// setX11 decides whether programs may open windows at the client.
func (p *program) setX11(ctx context.Context, payload []byte) error {
	m, err := read[x11Message](payload)
	// Targets have given what they are told here to xauth (CVE-2016-3115).
	if err != nil || p.started || p.x11 != nil || !isWord(m.Protocol) || !isWord(m.Cookie) {
		return errMessage
	}
	a := on(requestX11, "x11", actionX11, "")
	a.tell = p.teller()
	permit, err := p.decide(ctx, &a)
	if err != nil {
		return p.explain(ctx, err)
	}
	p.x11, p.display = permit, m
	p.session.mu.Lock()
	p.displays++
	p.session.mu.Unlock()
	return nil
}

// forget ends what was permitted for the channel.
func (p *program) forget() {
	for _, v := range p.env {
		v.permit.Done(outcome(canceled)) // where nothing was started
	}
	done := func(permit *access.Permit, count *int) {
		if permit == nil {
			return
		}
		p.session.mu.Lock()
		*count--
		p.session.mu.Unlock()
		permit.Done(outcome(succeeded))
	}
	done(p.agent, &p.agents)
	done(p.x11, &p.displays)
}

// teller writes to the caller's terminal, beside what the program says.
func (p *program) teller() func(string) { return p.say }

func (p *program) say(text string) {
	<-p.accepted
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_, _ = p.errors.Write([]byte(text))
	}
}

// oneByOne lets several write to a stream of a channel, whose library keeps one buffer for it.
type oneByOne struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer.
func (o *oneByOne) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(p)
}

// explain tells the caller why something was refused.
func (p *program) explain(ctx context.Context, err error) error {
	if refusal := refusalOf(ctx, err); refusal != nil {
		p.say(said(refusal))
	}
	return err
}

// end tells the caller why the channel is over, and closes it.
func (p *program) end(text string) { p.endWith(text, statusEnded) }

func (p *program) endWith(text string, status uint32) {
	<-p.accepted
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if text != "" {
		_, _ = p.errors.Write([]byte(text))
	}
	_, _ = p.channel.SendRequest(requestStatus, false, ssh.Marshal(statusMessage{status}))
	_ = p.channel.Close()
}
