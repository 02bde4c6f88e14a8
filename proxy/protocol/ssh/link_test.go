// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/devicelogin"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/portaltest"
)

// newLinkBench is a bench whose callers may log in at a portal.
func newLinkBench(tb testing.TB) (*bench, *portaltest.Portal) {
	tb.Helper()
	portal, logins := portaltest.Start(tb), devicelogin.New()
	tb.Cleanup(logins.Close)
	return newBench(tb, startDaemon(tb), func(c *protocoltest.Config, _ map[string]any) {
		c.DeviceLogins, c.Login.Portal = logins, portal.At()
	}), portal
}

var shownLink = regexp.MustCompile(`https://\S+/device\?user_code=(CODE-\d+)`)

// person is a client's user: he is asked, and does what he does with the link before he answers.
type person struct {
	told    []string
	prompts []string
	visit   func(code string)
	answer  string
}

func (p *person) challenge(_, instruction string, questions []string, echos []bool) ([]string, error) {
	p.told = append(p.told, instruction)
	if len(questions) == 0 {
		return nil, nil
	}
	if len(questions) != 1 || echos[0] {
		return nil, fmt.Errorf("asked otherwise: %q, echo %v", questions, echos)
	}
	p.prompts = append(p.prompts, questions[0])
	if link := shownLink.FindStringSubmatch(questions[0]); link != nil && p.visit != nil {
		if !strings.Contains(instruction, link[1]) {
			return nil, fmt.Errorf("the code to compare is not shown: %q", instruction)
		}
		p.visit(link[1])
	}
	return []string{p.answer}, nil
}

func (b *bench) dialAs(tb testing.TB, p *person, edit ...func(*ssh.ClientConfig)) (*ssh.Client, error) {
	tb.Helper()
	return b.dial(tb, append(edit, func(c *ssh.ClientConfig) {
		c.Auth, c.BannerCallback, c.Timeout = []ssh.AuthMethod{ssh.KeyboardInteractive(p.challenge)}, func(text string) error {
			p.told = append(p.told, text)
			return nil
		}, 0
	})...)
}

// TestLink: a person logs in by a browser, before the answer or after it, pastes a token all the
// same, or is refused and told why.
func TestLink(t *testing.T) {
	const in, out = true, false
	for name, tc := range map[string]struct {
		reason string
		person func(portal *portaltest.Portal) *person
		want   bool
		told   string
	}{
		"before": {"who has logged in is in", func(portal *portaltest.Portal) *person {
			return &person{visit: func(code string) { portal.Approve(code, protocoltest.Token) }}
		}, in, ""},
		"after": {"who presses Enter too early is waited for, and told", func(portal *portaltest.Portal) *person {
			return &person{visit: func(code string) {
				go func() {
					for range 4 { // seconds
						<-portal.Polled()
					}
					portal.Approve(code, protocoltest.Token)
				}()
			}}
		}, in, "Waiting for the login in the browser"},
		"pasted": {"a token is taken as well", func(*portaltest.Portal) *person {
			return &person{answer: " " + protocoltest.Token + "\n"}
		}, in, ""},
		"denied": {"the person says no", func(portal *portaltest.Portal) *person {
			return &person{visit: func(code string) { portal.Deny(code) }}
		}, out, "access_denied"},
		"another's token": {"what the portal gives is proven as every other", func(portal *portaltest.Portal) *person {
			return &person{visit: func(code string) { portal.Approve(code, "forged") }}
		}, out, "not accepted"},
		"no portal": {"a portal that is down keeps nobody from pasting", func(portal *portaltest.Portal) *person {
			portal.Before(func(w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, "down", http.StatusBadGateway)
				return true
			})
			return &person{answer: protocoltest.Token}
		}, in, "login portal cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			b, portal := newLinkBench(t)
			p := tc.person(portal)
			client, err := b.dialAs(t, p)
			if (err == nil) != tc.want {
				t.Fatalf("%s: %v, told %q", tc.reason, err, p.told)
			}
			if told := strings.Join(p.told, "\n"); !strings.Contains(told, tc.told) {
				t.Errorf("%s: told %q", tc.reason, told)
			}
			if asked := portal.Asked(); name != "no portal" && (len(asked) == 0 || asked[0].Get("connection") != "shop/orders" || asked[0].Get("client_address") != "127.0.0.1") {
				t.Errorf("the portal was asked %v", asked)
			}
			if !tc.want {
				b.Log.Await(deadline(t), t, "refusal", func(e record.Event) bool { return e.Type == record.AuthenticationFailed })
				return
			}
			start := b.Log.Await(deadline(t), t, "session", func(e record.Event) bool { return e.Type == record.SessionStart })
			if start.Actor.UserName != protocoltest.UserName {
				t.Errorf("%q is on record", start.Actor.UserName)
			}
			if back := portal.GivenBack(); len(back) > 0 {
				t.Error("given back while the session lasts")
			}
			_ = client.Close()
			b.server.Wait()
			if back := portal.GivenBack(); (len(back) > 0) != (name == "before" || name == "after") {
				t.Errorf("given back after the session: %q", back)
			}
		})
	}
}

// TestLinkOpenSSH: plain ssh, with nothing installed: the prompt that its askpass is given
// holds the link.
func TestLinkOpenSSH(t *testing.T) {
	b, portal := newLinkBench(t)
	shown := filepath.Join(b.dir, "shown")
	write(t, filepath.Join(b.dir, "askpass"), []byte("#!/bin/sh\nprintf '%s' \"$1\" > "+shown+".new && mv "+shown+".new "+shown+"\necho\n"), 0o700)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The first time that it asks is after Enter; it says that it waits before the last.
		for range 4 {
			select {
			case <-portal.Polled():
			case <-t.Context().Done():
			}
		}
		portal.Approve("CODE-0001", protocoltest.Token)
	}()
	text, told, status := finish(t, b.ssh(t, "-o", "PreferredAuthentications=keyboard-interactive", "GATEWAY", "echo hello"), "")
	<-done
	if text != "hello\n" || status != 0 {
		t.Fatalf("%q %d\n%s", text, status, told)
	}
	prompt, err := os.ReadFile(shown)
	if err != nil {
		t.Fatal(err)
	}
	if prompt := string(prompt); !strings.Contains(prompt, portal.At().URL+"/device?user_code=CODE-0001") || !strings.Contains(prompt, "press Enter") {
		t.Errorf("askpass was given %q", prompt)
	}
	if !strings.Contains(told, "has to show the code CODE-0001") || !strings.Contains(told, "Waiting for the login in the browser") {
		t.Errorf("the terminal shows %q", told)
	}
}

// TestLinkLeft (checklist 4): a client that goes while it is waited for is not waited for; and
// it has failed at nothing.
func TestLinkLeft(t *testing.T) {
	b, portal := newLinkBench(t)
	var dialer net.Dialer
	conn, err := dialer.DialContext(deadline(t), "tcp", b.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	gone, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		defer stop()
		for range 5 { // seconds: it has been told that it is waited for, and is told nothing for a while
			<-portal.Polled()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // gone without a word, as who pulls a plug
		}
		_ = conn.Close()
	}()
	_, _, _, err = ssh.NewClientConn(conn, "gateway", &ssh.ClientConfig{
		User: loginUser, HostKeyCallback: ssh.FixedHostKey(b.hostKey.PublicKey()), Auth: []ssh.AuthMethod{ssh.KeyboardInteractive((&person{}).challenge)},
	})
	if err == nil {
		t.Fatal("let in")
	}
	<-gone.Done()
	b.server.Wait() // until the session's goroutines are over
	if n := len(b.Log.OfType(record.AuthenticationFailed)); n != 0 || portal.Polls() > 7 {
		t.Errorf("%d failures, asked %d times", n, portal.Polls())
	}
}

// TestLinksAreFew (checklist 4): one connection has few links, and who asks for many is asked
// for a token.
func TestLinksAreFew(t *testing.T) {
	b, portal := newLinkBench(t)
	p := &person{visit: func(code string) { portal.Deny(code) }}
	_, err := b.dial(t, func(c *ssh.ClientConfig) {
		c.BannerCallback = func(string) error { return nil }
		c.Auth = []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.KeyboardInteractive(p.challenge), 10)}
	})
	if err == nil {
		t.Fatal("let in")
	}
	if n := len(portal.Asked()); n != maxLinks {
		t.Errorf("%d links, want %d", n, maxLinks)
	}
	if last := p.prompts[len(p.prompts)-1]; last != "Token: " {
		t.Errorf("asked %q", last)
	}
}

// TestNoLinkElsewhere: a link would tell whether there is the Connection that is named.
func TestNoLinkElsewhere(t *testing.T) {
	b, portal := newLinkBench(t)
	for _, name := range []string{"payments", "ops/orders"} {
		p := &person{}
		if _, err := b.dialAs(t, p, func(c *ssh.ClientConfig) { c.User = loginUser + "+" + name }); err == nil {
			t.Errorf("%s: let in", name)
		}
		if len(portal.Asked()) > 0 || len(p.prompts) == 0 || p.prompts[0] != "Token: " {
			t.Errorf("%s: asked %q, the portal %d times", name, p.prompts, len(portal.Asked()))
		}
	}
}

// TestLinkExpires: who does not log in is told that the time ends, and why he is turned away.
func TestLinkExpires(t *testing.T) {
	b, portal := newLinkBench(t)
	l := &login{ctx: deadline(t), present: deadline(t), until: time.Now().Add(linkMargin + quietly + time.Second)}
	l.entry = b.Gate.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000})
	begun, instead := l.link("")
	if begun == nil {
		t.Fatal(instead)
	}
	p := &person{}
	_, err := l.await(begun, p.challenge)
	if refusal := (*access.Refusal)(nil); !errors.As(err, &refusal) || refusal.Reason != access.ReasonCredential || !strings.Contains(refusal.Hint, "new link") {
		t.Errorf("refused with %v", err)
	}
	if len(p.told) != 1 || !strings.Contains(p.told[0], "left") {
		t.Errorf("told %q", p.told)
	}
	if failures := b.Log.OfType(record.AuthenticationFailed); len(failures) != 1 || !strings.Contains(failures[0].Reason, "in time") {
		t.Errorf("on record: %+v", failures)
	}
	portal.Approve("CODE-0001", protocoltest.Token)
	if len(portal.GivenBack()) > 0 {
		t.Error("something was given back, and nothing was given")
	}
}

// TestLinkNoAnswer (checklist 4): who is asked and says nothing is waited for as long as for
// every other who does not log in, and ends with the proxy.
func TestLinkNoAnswer(t *testing.T) {
	b, _ := newLinkBench(t)
	asked, over := make(chan struct{}), make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		_, err := b.dial(t, func(c *ssh.ClientConfig) {
			c.Timeout, c.Auth = 0, []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, _ string, _ []string, _ []bool) ([]string, error) {
				close(asked)
				<-over
				return nil, errors.New("nobody is here")
			})}
		})
		failed <- err
	}()
	<-asked
	b.server.Stop(t, access.ErrDraining)
	close(over)
	if err := <-failed; err == nil {
		t.Error("let in")
	}
	if n := len(b.Log.OfType(record.AuthenticationFailed)); n > 0 {
		t.Errorf("%d failures are on record of who has tried nothing", n)
	}
}
