// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
)

// listener is what the target listens at for the client: an address and a port, or the path of a
// socket.
type listener struct {
	host string
	port uint32
	path string
}

// String is the listener as policies name it.
func (l listener) String() string {
	if l.path != "" {
		return l.path
	}
	if l.host == "" { // all addresses (RFC 4254, section 7.1)
		return fmt.Sprintf("*:%d", l.port)
	}
	name, err := place(l.host, l.port)
	if err != nil {
		return ""
	}
	return name
}

// parseListener reads what a client wants to have listened at.
func parseListener(request *ssh.Request) (listener, error) {
	var l listener
	if request.Type == requestListenSocket || request.Type == requestUnlistenSocket {
		m, err := read[socketMessage](request.Payload)
		if err != nil || !isSocket(m.Path) {
			return l, errMessage
		}
		return listener{path: m.Path}, nil
	}
	m, err := read[placeMessage](request.Payload)
	if err != nil || m.Port > 65535 || m.Host != "" && !isName(m.Host) {
		return l, errMessage
	}
	return listener{host: m.Host, port: m.Port}, nil
}

// listen has the target listen. It is neither held for approval nor waits for what is: answers to
// global requests have an order, so that no sign of life could be answered meanwhile.
func (s *session) listen(ctx context.Context, request *ssh.Request) {
	l, err := parseListener(request)
	if err != nil {
		_ = request.Reply(false, nil)
		return
	}
	a := on(request.Type, "listen "+l.String(), actionListen, l.String())
	a.prompt = true
	s.listening.Lock()
	defer s.listening.Unlock()
	if _, known := s.listeners[l]; known || len(s.listeners) >= maxListeners {
		a.refuse = never("this connection listens there already, or at as many places as it may")
	}
	permit, err := s.decide(ctx, &a)
	if err != nil {
		if refusal := refusalOf(ctx, err); refusal != nil {
			if tell := s.teller(); tell != nil {
				tell(said(refusal))
			}
		}
		_ = request.Reply(false, nil)
		return
	}
	ok, answer, err := s.target.SendRequest(request.Type, true, request.Payload)
	if err != nil || !ok {
		permit.Done(failure("not accepted"))
		_ = request.Reply(false, nil)
		return
	}
	if l.path == "" && l.port == 0 { // the target chose one
		if len(answer) == 4 {
			l.port = binary.BigEndian.Uint32(answer)
		}
		if l.port == 0 || l.port > 65535 {
			permit.Done(outcome(unknown))
			_ = request.Reply(false, nil)
			return
		}
	} else {
		answer = nil // there is nothing more to say
	}
	if before := s.listeners[l]; before != nil {
		before.Done(outcome(succeeded))
	}
	s.listeners[l] = permit
	_ = request.Reply(true, answer)
}

// unlistenOne ends one of the connection's own listeners. Those of others are on other
// connections to the target, so that nobody can name them.
func (s *session) unlistenOne(request *ssh.Request) {
	l, err := parseListener(request)
	s.listening.Lock()
	defer s.listening.Unlock()
	permit := s.listeners[l]
	if err != nil || permit == nil {
		_ = request.Reply(false, nil)
		return
	}
	ok, _, err := s.target.SendRequest(request.Type, true, request.Payload)
	delete(s.listeners, l)
	permit.Done(outcome(succeeded))
	_ = request.Reply(err == nil && ok, nil)
}

// unlisten ends all listeners with the connection.
func (s *session) unlisten() {
	s.listening.Lock()
	defer s.listening.Unlock()
	for l, permit := range s.listeners {
		permit.Done(outcome(succeeded))
		delete(s.listeners, l)
	}
}

// accept passes a channel that the target opens on to the client, where the client has asked for
// such, and policies allow it.
func (s *session) accept(ctx context.Context, asked ssh.NewChannel) {
	resource, from, ok := s.expected(asked)
	if !ok {
		// No caller has asked for it: it is the target's fault and on nobody's record.
		_ = asked.Reject(ssh.Prohibited, "")
		return
	}
	a := asking{
		kind: asked.ChannelType(), statement: "accept " + resource + from,
		accesses: []policy.Access{{Action: actionAccept, Resource: resource}}, answers: true,
	}
	s.link(ctx, &a, asked, s.caller)
}

// expected says what a channel of the target came through, and whether that is open.
func (s *session) expected(asked ssh.NewChannel) (resource, from string, ok bool) {
	data := asked.ExtraData()
	switch asked.ChannelType() {
	case channelForwarded:
		m, err := read[directMessage](data)
		if err != nil || !isOrigin(m.OriginHost) {
			return "", "", false
		}
		l := listener{host: m.Host, port: m.Port}
		return l.String(), fmt.Sprintf(" from %s:%d", m.OriginHost, m.OriginPort), s.listens(l)
	case channelForwardedSocket:
		m, err := read[forwardedSocketMessage](data)
		return m.Path, "", err == nil && isOrigin(m.Reserved) && s.listens(listener{path: m.Path})
	case channelAgent:
		s.mu.Lock()
		defer s.mu.Unlock()
		return resourceAgent, "", len(data) == 0 && s.agents > 0
	case channelX11:
		m, err := read[originMessage](data)
		s.mu.Lock()
		defer s.mu.Unlock()
		return resourceX11, " from " + m.Host, err == nil && isOrigin(m.Host) && s.displays > 0
	}
	return "", "", false
}

// listens says whether the client has a listener, one that comes right now included.
func (s *session) listens(l listener) bool {
	s.listening.Lock()
	defer s.listening.Unlock()
	_, found := s.listeners[l]
	return found
}
