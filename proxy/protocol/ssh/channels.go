// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"strconv"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
)

// callerChannel opens one. What is not named is refused, and so is a program where the client has
// closed the connection to further ones. Nothing of it reaches the target before.
func (s *session) callerChannel(ctx context.Context, asked ssh.NewChannel, before <-chan struct{}, closed bool) {
	if !s.enter() {
		_ = asked.Reject(ssh.ResourceShortage, "Doorward: one connection may have "+strconv.Itoa(maxChannels)+" channels")
		return
	}
	s.serving.Go(func() {
		defer s.leave()
		switch asked.ChannelType() {
		case channelSession:
			if closed {
				_ = asked.Reject(ssh.Prohibited, "Doorward: the client said that it opens no more sessions")
				return
			}
			s.openProgram(ctx, asked, before)
		case channelDirect, channelDirectSocket:
			<-before
			s.forward(ctx, asked)
		default:
			s.refuseChannel(ctx, asked)
		}
	})
}

// errOver says that the session ended while something was opened.
var errOver = errors.New("the session is over")

// openAt opens a channel at one side, and waits no longer than the session lasts: where a side
// leaves in that moment, the library may wait for ever.
func (s *session) openAt(side *peer, kind string, extra []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	result := make(chan opened)
	go func() {
		channel, requests, err := side.OpenChannel(kind, extra)
		select {
		case result <- opened{channel, requests, err}:
		case <-s.over:
			if err == nil { // nobody is there any more
				_ = channel.Close()
				ssh.DiscardRequests(requests)
			}
		}
	}()
	select {
	case o := <-result:
		return o.channel, o.requests, o.err
	case <-s.over:
		return nil, nil, errOver
	}
}

// refuseChannel refuses a channel of a type that is never forwarded, and puts that on record.
func (s *session) refuseChannel(ctx context.Context, asked ssh.NewChannel) {
	a := s.unspoken("channel", asked.ChannelType())
	if _, err := s.decide(ctx, &a); err != nil {
		if refusal := refusalOf(ctx, err); refusal != nil {
			_ = asked.Reject(ssh.UnknownChannelType, brief(refusal))
			return
		}
	}
	_ = asked.Reject(ssh.UnknownChannelType, "")
}

// unspoken is what is not forwarded whatever policies say, since nobody knows what it does.
func (s *session) unspoken(what, name string) asking {
	if len(name) > 64 {
		name = name[:64]
	}
	a := on(name, what+" "+name, policy.ActionUnknown, name)
	a.refuse = never("the " + what + " " + strconv.QuoteToASCII(name) + " is never forwarded")
	return a
}

// targetChannels passes on what the target opens, where the client has asked for that.
func (s *session) targetChannels(ctx context.Context) {
	for asked := range s.target.channels {
		if !s.enter() {
			_ = asked.Reject(ssh.ResourceShortage, "")
			continue
		}
		s.serving.Go(func() {
			defer s.leave()
			s.accept(ctx, asked)
		})
	}
}

// targetRequests answers the target's global requests: signs of life, and keys that it has
// besides (hostkeys-00@openssh.com), which are not learnt.
func (s *session) targetRequests() {
	for request := range s.target.requests {
		_ = request.Reply(false, nil)
	}
}
