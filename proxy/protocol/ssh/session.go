// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
)

// The bounds of one session.
const (
	// maxChannels is how many channels may be open.
	maxChannels = 256
	// maxUnstarted is how many session channels may be open on which nothing runs, permitted or
	// not: what a client sends on one is kept, up to the 2 MiB of the library's window.
	maxUnstarted = 64
	// maxListeners is how many places may be listened at.
	maxListeners = 64
	// askBound is how long a client that gets no session may take to ask for something, and
	// turnBound how long it may stay in all.
	askBound  = 2 * time.Second
	turnBound = askBound + 2*leaveBound
	// farewellBound is how long the client may take to be told why the session ended, and
	// leaveBound how long to leave by itself then.
	farewellBound = time.Second
	leaveBound    = 500 * time.Millisecond
)

// session is one connection of a client and the one to the target that belongs to it.
type session struct {
	grant      *access.Grant
	options    options
	connection string
	caller     *peer
	target     *peer
	// cancel ends the session with a cause.
	cancel context.CancelCauseFunc

	// over is closed when the session is.
	over <-chan struct{}

	// deciding is held by who decides an operation, also while that is held for approval.
	deciding chan struct{}
	// held can be received from while that is held for approval; refusing counts what was refused
	// meanwhile and is not on record yet.
	held     chan struct{}
	refusing atomic.Int32
	// working counts what runs and does not wait for the client; see touch.
	working atomic.Int64
	// waiting is the size of the requests that wait for their turn, in bytes.
	waiting atomic.Int64
	// touched is when something last came, in Unix nanoseconds.
	touched atomic.Int64

	// serving counts the goroutines of the session.
	serving sync.WaitGroup

	// mu guards the fields below.
	mu       sync.Mutex
	channels int
	// programs are the open channels on which the caller can be told something.
	programs map[*program]struct{}
	// unstarted is how many of the session channels have no program.
	unstarted int
	// agents and displays are how many channels have the agent or the display passed on.
	agents, displays int

	// passing is held while the target is asked to take the agent; agentTaken says that it did.
	passing    sync.Mutex
	agentTaken bool

	// listening is held while a listener comes or goes; it guards listeners.
	listening sync.Mutex
	listeners map[listener]*access.Permit
}

// run serves the session until it is over and returns why.
func (s *session) run(ctx context.Context) error {
	s.over = ctx.Done()
	s.programs, s.listeners = map[*program]struct{}{}, map[listener]*access.Permit{}
	s.touch()
	s.serving.Go(func() { s.callerAsks(ctx) })
	s.serving.Go(func() { s.targetRequests() })
	s.serving.Go(func() { s.targetChannels(ctx) })
	s.serving.Go(func() { s.watch(ctx, s.caller, errLeft) })
	s.serving.Go(func() { s.watch(ctx, s.target, errTargetGone) })
	<-ctx.Done()
	cause := context.Cause(ctx)
	if !errors.Is(cause, errLeft) {
		s.farewell(cause)
	}
	_ = s.caller.Close()
	_ = s.target.Close()
	s.serving.Wait()
	s.unlisten()
	return cause
}

// farewell tells the client why the session is over, on every channel that has a place for it.
func (s *session) farewell(cause error) {
	s.mu.Lock()
	open := make([]*program, 0, len(s.programs))
	for p := range s.programs {
		open = append(open, p)
	}
	s.mu.Unlock()
	if len(open) == 0 {
		return
	}
	told := make(chan struct{})
	var telling sync.WaitGroup
	for _, p := range open {
		telling.Go(func() {
			if p.exiting.Load() {
				within(p.told, 2*quiet) // how it ended says more than why nothing goes on
			}
			p.end("Doorward: " + plain(cause.Error()) + "\r\n")
		})
	}
	go func() { telling.Wait(); close(told) }()
	gone := make(chan struct{})
	go func() { _ = s.caller.Wait(); close(gone) }()
	defer func() {
		// A client that does not read is cut; then both return.
		_ = s.caller.Close()
		<-told
		<-gone
	}()
	if within(told, farewellBound) {
		within(gone, leaveBound)
	}
}

// within waits for done, but no longer than the bound.
func within(done <-chan struct{}, bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// turnAway tells a client that is proven, and gets no session, why. It has words for that only
// where it asks for something.
func turnAway(ctx context.Context, caller *peer, refusal *access.Refusal) {
	deadline := time.NewTimer(askBound)
	defer deadline.Stop()
	// One that asks on and on, or does not read, is cut.
	defer time.AfterFunc(turnBound, func() { _ = caller.Close() }).Stop()
	over := ctx.Done()
	for {
		select {
		case request, ok := <-caller.requests:
			if !ok {
				return
			}
			_ = request.Reply(false, nil)
		case asked, ok := <-caller.channels:
			if !ok {
				return
			}
			_ = asked.Reject(ssh.Prohibited, brief(refusal))
			// It leaves by itself, having said so to its user.
			deadline.Reset(leaveBound)
		case <-over:
			over = nil
			deadline.Reset(leaveBound)
		case <-deadline.C:
			return
		}
	}
}

// touchEvery is how often traffic counts as a sign of life.
const touchEvery = time.Second

// touch says that something came just now. As long as no program runs that works by itself,
// silence is the client's.
func (s *session) touch() {
	now, last := time.Now().UnixNano(), s.touched.Load()
	if now-last > int64(touchEvery) && s.touched.CompareAndSwap(last, now) {
		s.grant.Awaits(s.working.Load() == 0)
	}
}

// work says that a program works by itself until done is called.
func (s *session) work() (done func()) {
	s.working.Add(1)
	s.grant.Awaits(false)
	return func() { s.grant.Awaits(s.working.Add(-1) == 0) }
}

// enter makes room for a channel; false where there is none.
func (s *session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels >= maxChannels {
		return false
	}
	s.channels++
	return true
}

func (s *session) leave() {
	s.mu.Lock()
	s.channels--
	s.mu.Unlock()
}
