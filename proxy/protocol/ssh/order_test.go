// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"testing"
	"testing/synctest"
	"time"

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
		synctest.Test(t, func(t *testing.T) {
			channels, requests := make(chan ssh.NewChannel, 1), make(chan *ssh.Request, 1)
			s := &session{programs: map[*program]struct{}{}, caller: &peer{channels: channels, requests: requests}}
			opened := make(chan bool, 1)
			channels <- coming{opened: opened}
			requests <- &ssh.Request{Type: requestNoMoreSessions}
			s.serving.Go(func() { s.callerAsks(t.Context()) })
			synctest.Wait()
			if !<-opened {
				t.Error("what was asked for before is not opened")
			}
			channels <- coming{opened: opened}
			if <-opened {
				t.Error("what is asked for afterwards is opened")
			}
			close(channels)
			close(requests)
			s.serving.Wait()
		})
	}
}

// TestListenersFirst: what a client asks for behind listeners, without waiting for their answers,
// reaches the target behind them, as OpenSSH's client has it with -R and a command.
func TestListenersFirst(t *testing.T) {
	const listeners = 9
	for name, test := range map[string]struct {
		reason string
		ask    func(*ssh.Client) error
	}{
		"connection": {"it may be to where the target listens then", func(client *ssh.Client) error {
			_, err := client.Dial("tcp", "127.0.0.1:2001")
			return err
		}},
		"socket": {"it may be to where the target listens then", func(client *ssh.Client) error {
			_, err := client.Dial("unix", "/run/s")
			return err
		}},
		"command": {"it may use what it is given", func(client *ssh.Client) error {
			program, err := client.NewSession()
			if err != nil {
				return err
			}
			return program.Run("uptime")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			answered := make(chan int, 1)
			b := newBench(t, rogueTarget(t, func(_ ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
				came := make(chan ssh.NewChannel)
				go func() {
					defer close(came)
					for asked := range channels {
						came <- asked
					}
				}()
				n := 0
				for requests != nil || came != nil {
					select {
					case request, ok := <-requests:
						if !ok {
							requests = nil
							continue
						}
						if request.Type != requestListen {
							_ = request.Reply(false, nil)
							continue
						}
						// Long enough for what would not wait for the answer.
						select {
						case asked, ok := <-came:
							if ok {
								answered <- n
								_ = asked.Reject(ssh.ConnectionFailed, "")
							}
						case <-time.After(20 * time.Millisecond):
						}
						n++
						_ = request.Reply(true, nil)
					case asked, ok := <-came:
						if !ok {
							came = nil
							continue
						}
						answered <- n
						_ = asked.Reject(ssh.ConnectionFailed, "")
					}
				}
			}))
			client := b.mustDial(t)
			for port := range uint32(listeners) {
				if _, _, err := client.SendRequest(requestListen, false, ssh.Marshal(placeMessage{"127.0.0.1", 2000 + port})); err != nil {
					t.Fatal(err)
				}
			}
			if test.ask(client) == nil {
				t.Error("it was opened, though the target refused it")
			}
			if n := <-answered; n != listeners {
				t.Errorf("it was asked for after %d of %d listeners: %s", n, listeners, test.reason)
			}
		})
	}
}
