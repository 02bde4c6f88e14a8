// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"

	"golang.org/x/crypto/ssh"
)

// maxTurns is how many global requests may wait for their turn, besides those in the library.
const maxTurns = 16

// turn is one global request of the client's. It is served after those that came before it, since
// answers to them have no number.
type turn struct {
	*ssh.Request
	// served is closed when it is.
	served chan struct{}
}

// order takes what the client asks for. Requests and channels come by two ways, yet in one order: a
// connection to where the target was just asked to listen gets there. What comes by one way was
// preceded by what waits in the other, or some of that; so listeners come first, and what closes
// the connection to further programs last.
type order struct {
	*session
	turns chan turn
	// before is closed when the requests taken so far are served.
	before <-chan struct{}
	// closed says that the client opens no more programs.
	closed bool
}

// callerAsks serves what the client asks for, until it is gone.
func (s *session) callerAsks(ctx context.Context) {
	none := make(chan struct{})
	close(none)
	o := &order{session: s, turns: make(chan turn, maxTurns), before: none}
	s.serving.Go(func() {
		for t := range o.turns {
			s.callerRequest(ctx, t.Request)
			close(t.served)
		}
	})
	defer close(o.turns)
	channels, requests := s.caller.channels, s.caller.requests
	for channels != nil || requests != nil {
		select {
		case request, ok := <-requests:
			if !ok {
				requests = nil
				continue
			}
			o.request(ctx, request)
		case asked, ok := <-channels:
			if !ok {
				channels = nil
				continue
			}
			o.channel(ctx, asked)
		}
	}
}

// channel opens a channel after the requests that wait.
func (o *order) channel(ctx context.Context, asked ssh.NewChannel) {
	var last *ssh.Request
	for range len(o.caller.requests) {
		if last = <-o.caller.requests; last.Type == requestNoMoreSessions {
			break
		}
		o.request(ctx, last)
		last = nil
	}
	o.callerChannel(ctx, asked, o.before, o.closed)
	if last != nil {
		o.request(ctx, last)
	}
}

// request gives a request its turn.
func (o *order) request(ctx context.Context, request *ssh.Request) {
	if request.Type == requestNoMoreSessions {
		for range len(o.caller.channels) {
			o.callerChannel(ctx, <-o.caller.channels, o.before, o.closed)
		}
		o.closed = true
	}
	served := make(chan struct{})
	o.turns <- turn{request, served}
	o.before = served
}

// callerRequest serves one of the client's global requests.
func (s *session) callerRequest(ctx context.Context, request *ssh.Request) {
	if keepsAlive(request.Type) {
		_ = request.Reply(false, nil)
		return
	}
	switch request.Type {
	case requestNoMoreSessions:
		_ = request.Reply(true, nil)
	case requestListen, requestListenSocket:
		s.listen(ctx, request)
	case requestUnlisten, requestUnlistenSocket:
		s.unlistenOne(request)
	default:
		a := s.unspoken("request", request.Type)
		a.prompt = true
		_, _ = s.decide(ctx, &a) // it is refused
		_ = request.Reply(false, nil)
	}
}
