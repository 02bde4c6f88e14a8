// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"testing"

	"golang.org/x/crypto/ssh"
)

// coming is a channel that is asked for.
type coming struct {
	ssh.NewChannel

	opened chan<- bool
}

func (coming) ChannelType() string { return channelSession }
func (coming) ExtraData() []byte   { return nil }

func (c coming) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	c.opened <- true
	return nil, nil, errMessage
}

func (c coming) Reject(ssh.RejectionReason, string) error {
	c.opened <- false
	return nil
}

// TestNoMoreSessions: OpenSSH's client says that it opens no more sessions at once after it has
// asked for its own, which is opened; the next one is not.
func TestNoMoreSessions(t *testing.T) {
	for range 100 {
		channels, requests := make(chan ssh.NewChannel, 1), make(chan *ssh.Request, 1)
		s := &session{noMore: make(chan struct{}), programs: map[*program]struct{}{}, caller: &peer{channels: channels, requests: requests}}
		opened := make(chan bool, 1)
		channels <- coming{opened: opened}
		requests <- &ssh.Request{Type: requestNoMoreSessions}
		close(requests)
		s.serving.Go(func() { s.callerChannels(t.Context()) })
		s.callerRequests(t.Context())
		if !<-opened {
			t.Fatal("what was asked for before is not opened")
		}
		channels <- coming{opened: opened}
		if <-opened {
			t.Fatal("what is asked for afterwards is opened")
		}
		close(channels)
		s.serving.Wait()
	}
}
