// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/record"
)

// TestTooMuchBeforeLogin: what a client may send until it is proven is bounded (checklist 4).
func TestTooMuchBeforeLogin(t *testing.T) {
	b := newBench(t, startDaemon(t))
	if _, err := b.dial(t, func(c *ssh.ClientConfig) {
		c.BannerCallback = func(string) error { return nil }
		c.Auth = []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.Password(strings.Repeat("x", 100<<10)), 5)}
	}); err == nil {
		t.Error("it was let in")
	}
	b.Log.Await(deadline(t), t, "refusal", func(e record.Event) bool {
		return e.Type == record.AuthenticationFailed && strings.Contains(e.Reason, errTooLong.Error())
	})
}

// TestHandshakesThatHang: clients that stop at any point of the handshake keep nobody out, and
// leave nothing behind (checklist 4).
func TestHandshakesThatHang(t *testing.T) {
	b := newBench(t, startDaemon(t))
	var dialer net.Dialer
	openings := [][]byte{nil, []byte("SSH-2."), []byte("SSH-2.0-x\r\n"), append([]byte("SSH-2.0-x\r\n"), 0, 0), append([]byte("SSH-2.0-x\r\n"), kexInit(strictClient)[:40]...)}
	for i := range 200 {
		conn, err := dialer.DialContext(deadline(t), "tcp", b.server.Address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write(openings[i%len(openings)]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.mustDial(t).NewSession(); err != nil {
		t.Errorf("a login among them: %v", err)
	}
	b.server.Stop(t, errors.New("over"))
}

// TestDeclaredLength: a client that announces a message of 1 GB is cut, and nothing is waited for or
// kept (checklist 4).
func TestDeclaredLength(t *testing.T) {
	b := newBench(t, startDaemon(t))
	huge := []byte{0x40, 0, 0, 0}
	for name, said := range map[string][]byte{
		"at once":              append([]byte("SSH-2.0-x\r\n"), huge...),
		"after its algorithms": append(append([]byte("SSH-2.0-x\r\n"), kexInit(strictClient)...), huge...),
	} {
		t.Run(name, func(t *testing.T) {
			var dialer net.Dialer
			conn, err := dialer.DialContext(deadline(t), "tcp", b.server.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(said); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(loginBound / 2))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the rest is waited for")
			}
		})
	}
}

// TestOpening: what a client may say before its keys, cut anywhere.
func TestOpening(t *testing.T) {
	whole := append([]byte("SSH-2.0-x\r\n"), kexInit("a,"+strictClient)...)
	for cut := range whole {
		if _, done, err := keyExchange(whole[:cut], true); done || err != nil {
			t.Fatalf("cut at %d: %v %v", cut, done, err)
		}
	}
	if algorithms, done, err := keyExchange(whole, true); algorithms != "a,"+strictClient || !done || err != nil {
		t.Errorf("%q %v %v", algorithms, done, err)
	}
	lines := append([]byte("welcome\r\n"), whole...)
	if _, _, err := keyExchange(lines, true); err == nil {
		t.Error("a client may say nothing before its version")
	}
	if _, done, err := keyExchange(lines, false); !done || err != nil {
		t.Errorf("a server may: %v %v", done, err)
	}
}

func FuzzOpening(f *testing.F) {
	f.Add([]byte("SSH-2.0-x\r\n"), true)
	f.Add(append([]byte("welcome\r\nSSH-2.0-x\r\n"), kexInit(strictServer)...), false)
	f.Fuzz(func(t *testing.T, data []byte, client bool) {
		_, done, err := keyExchange(data, client)
		if done && err != nil {
			t.Error("both done and wrong")
		}
		for cut := range min(len(data), 64) {
			if _, early, err := keyExchange(data[:cut], client); early && err != nil {
				t.Error("both done and wrong")
			}
		}
	})
}

// TestNotSSH: who comes by mistake is told so, after the version, as by sshd.
func TestNotSSH(t *testing.T) {
	b := newBench(t, startDaemon(t))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "\n"); err != nil {
		t.Fatal(err)
	}
	if told, err := io.ReadAll(conn); err != nil || string(told) != version+"\r\n"+notSSH {
		t.Errorf("told %q, %v", told, err)
	}
}
