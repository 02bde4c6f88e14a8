// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// TestAgentOfMany: a target takes the agent once in a connection, or not at all, and programs run
// all the same.
func TestAgentOfMany(t *testing.T) {
	const refused = "the target does not take the agent"
	for name, test := range map[string]struct {
		lines []string
		says  bool
	}{
		"taken":     {nil, false},
		"not taken": {[]string{"AllowAgentForwarding no"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, startDaemon(t, test.lines...))
			b.allow(t, "exec *", "agent", "accept agent")
			keyring := agent.NewKeyring()
			_, private := newKey(t)
			key, err := ssh.ParseRawPrivateKey(private)
			if err != nil {
				t.Fatal(err)
			}
			if err := keyring.Add(agent.AddedKey{PrivateKey: key, Comment: "mine"}); err != nil {
				t.Fatal(err)
			}
			client := b.mustDial(t)
			if err := agent.ForwardToAgent(client, keyring); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				program, err := client.NewSession()
				if err != nil {
					t.Fatal(err)
				}
				if err := agent.RequestAgentForwarding(program); err != nil {
					t.Fatal(err)
				}
				var trouble bytes.Buffer
				program.Stderr = &trouble
				out, _ := program.Output("ssh-add -l; /bin/echo ran")
				if !strings.HasSuffix(string(out), "ran\n") || strings.Contains(string(out), "mine") == test.says {
					t.Errorf("%q", out)
				}
				if strings.Contains(trouble.String(), refused) != test.says {
					t.Errorf("%q", &trouble)
				}
			}
		})
	}
}

// TestAgentEnds: the agent is for as long as the program that it was asked for (checklist 5).
func TestAgentEnds(t *testing.T) {
	during, afterwards := make(chan error, 1), make(chan struct{})
	open := func(conn ssh.Conn) error {
		channel, requests, err := conn.OpenChannel(channelAgent, nil)
		if err == nil {
			go ssh.DiscardRequests(requests)
			_ = channel.Close()
		}
		return err
	}
	b := newBench(t, rogueTarget(t, func(conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
		serveFirst(channels, requests, func(_ ssh.Channel, wanted <-chan *ssh.Request) {
			for request := range wanted {
				_ = request.Reply(true, nil)
				if request.Type == requestExec {
					break
				}
			}
			during <- open(conn)
		})
		for open(conn) == nil && !within(t.Context().Done(), 10*time.Millisecond) {
			continue
		}
		close(afterwards)
		_ = conn.Wait()
	}))
	b.allow(t, "exec *", "agent", "accept agent")
	client := b.mustDial(t)
	if err := agent.ForwardToAgent(client, agent.NewKeyring()); err != nil {
		t.Fatal(err)
	}
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.RequestAgentForwarding(program); err != nil {
		t.Fatal(err)
	}
	_ = program.Run("uptime")
	if err := <-during; err != nil {
		t.Errorf("while the program runs: %v", err)
	}
	select {
	case <-afterwards:
	case <-deadline(t).Done():
		t.Error("a target may use the agent for ever")
	}
}
