// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
)

// forward connects from the target to another place, for the client.
func (s *session) forward(ctx context.Context, asked ssh.NewChannel) {
	where, err := destination(asked)
	if err != nil {
		_ = asked.Reject(ssh.ConnectionFailed, "Doorward: malformed destination")
		return
	}
	a := on(asked.ChannelType(), "forward "+where, actionForward, where)
	a.answers, a.unmetered, a.tell = true, false, s.teller()
	s.link(ctx, &a, asked, s.target)
}

// destination is where a client wants to be connected to, as policies name it.
func destination(asked ssh.NewChannel) (string, error) {
	if asked.ChannelType() == channelDirect {
		m, err := read[directMessage](asked.ExtraData())
		if err != nil || !isOrigin(m.OriginHost) {
			return "", errMessage
		}
		return place(m.Host, m.Port)
	}
	m, err := read[directSocketMessage](asked.ExtraData())
	if err != nil || !isSocket(m.Path) || !isOrigin(m.Reserved) {
		return "", errMessage
	}
	return m.Path, nil
}

// teller shows texts where the caller sees them: on an open program of the connection. It is nil
// where there is none.
func (s *session) teller() func(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.programs {
		return p.say
	}
	return nil
}

// link decides on a channel that one side asks for, opens it at the other, and carries its bytes.
func (s *session) link(ctx context.Context, a *asking, asked ssh.NewChannel, far *peer) {
	permit, err := s.decide(ctx, a)
	if err != nil {
		reason := ""
		if refusal := refusalOf(ctx, err); refusal != nil && far == s.target {
			reason = brief(refusal)
		}
		_ = asked.Reject(ssh.Prohibited, reason)
		return
	}
	l := &link{session: s, permit: permit, meter: permit.Meter()}
	o := failure("not opened")
	defer func() { permit.Done(l.tally.into(o)) }()
	if err := permit.Durable(ctx); err != nil {
		_ = asked.Reject(ssh.Prohibited, brief(access.AsRefusal(err)))
		return
	}
	there, thereRequests, err := s.openAt(far, asked.ChannelType(), asked.ExtraData())
	if err != nil {
		reason, text := ssh.ConnectionFailed, "the other side did not open it"
		if refused := (*ssh.OpenChannelError)(nil); errors.As(err, &refused) {
			reason, text = refused.Reason, plain(refused.Message)
		}
		_ = asked.Reject(reason, text)
		return
	}
	here, hereRequests, err := asked.Accept()
	if err != nil {
		_ = there.Close()
		for range thereRequests {
		}
		return
	}
	o = outcome(succeeded)
	if far == s.target {
		l.carry(ctx, here, there, hereRequests, thereRequests)
	} else {
		l.carry(ctx, there, here, thereRequests, hereRequests)
	}
	if refusal := l.cut.Load(); refusal != nil {
		o = failure(fmt.Sprint(refusal.Reason))
	}
}

// link is one forwarded connection.
type link struct {
	*session
	permit *access.Permit
	meter  *access.Meter
	tally  tally
	cut    atomic.Pointer[access.Refusal]
}

// carry moves bytes both ways until both have ended. Either side may end its own first.
func (l *link) carry(ctx context.Context, caller, target ssh.Channel, callerRequests, targetRequests <-chan *ssh.Request) {
	// The target first: a client that is to be cut off may hear nothing, and send on.
	defer context.AfterFunc(ctx, func() {
		_ = target.Close()
		_ = caller.Close()
	})()
	var all sync.WaitGroup
	up, down := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		defer close(up)
		l.pump(target, caller, func(n int64) error { l.tally.toTarget.Add(n); return nil })
	})
	all.Go(func() {
		defer close(down)
		l.pump(caller, target, func(n int64) error {
			if err := l.meter.Take(0, n); err != nil {
				l.cut.Store(access.AsRefusal(err))
				return err
			}
			l.tally.toCaller.Add(n)
			return nil
		})
	})
	// A side that has closed the channel hears nothing more: what it sent last is taken to the
	// other, which is closed then.
	all.Go(func() { closeAfter(callerRequests, up, target) })
	all.Go(func() { closeAfter(targetRequests, down, caller) })
	<-up
	<-down
	_ = caller.Close()
	_ = target.Close()
	all.Wait()
}

// closeAfter refuses a channel's requests until it is closed, and closes the other channel once
// what came from the first has been carried.
func closeAfter(requests <-chan *ssh.Request, carried <-chan struct{}, other ssh.Channel) {
	for request := range requests {
		_ = request.Reply(false, nil)
	}
	within(carried, emptyBound)
	_ = other.Close()
}

// pump carries one direction until it ends.
func (l *link) pump(dst, src ssh.Channel, count func(int64) error) {
	buffer := newChunk()
	defer buffer.free()
	for {
		chunk := buffer.room()
		n, err := src.Read(chunk)
		if n > 0 {
			l.touch()
			if count(int64(n)) != nil {
				_ = src.Close()
				_ = dst.Close()
				return
			}
			if _, err := dst.Write(chunk[:n]); err != nil {
				return
			}
			buffer.came(n)
		}
		if err != nil {
			_ = dst.CloseWrite()
			return
		}
	}
}
