// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// TestProtocol runs the kit that every protocol passes.
func TestProtocol(t *testing.T) {
	d := startDaemon(t)
	protocoltest.Run(t, protocoltest.Suite{
		Road: func(tb testing.TB) (*protocoltest.Road, *protocoltest.Server) {
			tb.Helper()
			b := newBench(tb, d)
			return b.Road, b.server
		},
		Connect:        kitConnect,
		DialsOnConnect: true,
		Garbage: map[string][]byte{
			"HTTP":                        []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
			"TLS":                         {0x16, 3, 1, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff},
			"SSH 1":                       []byte("SSH-1.5-old\r\n"),
			"a packet of one gigabyte":    append([]byte("SSH-2.0-x\r\n"), 0x40, 0, 0, 0, 4, 20),
			"a packet of no length":       append([]byte("SSH-2.0-x\r\n"), 0, 0, 0, 0, 0),
			"padding beyond the packet":   append([]byte("SSH-2.0-x\r\n"), 0, 0, 0, 4, 200, 20, 0, 0),
			"a version without end":       append([]byte("SSH-2.0-"), bytes.Repeat([]byte{'x'}, 20000)...),
			"messages before the keys":    append([]byte("SSH-2.0-x\r\n"), bytes.Repeat([]byte{0, 0, 0, 12, 10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 2000)...),
			"algorithms of one that is a": append([]byte("SSH-2.0-x\r\n"), kexInit("a")...),
		},
	})
}

// kexInit is a SSH_MSG_KEXINIT with a list of key exchanges, and nothing else.
func kexInit(algorithms string) []byte {
	payload := ssh.Marshal(struct {
		Cookie     [16]byte `sshtype:"20"`
		Algorithms []string
		Others     []byte `ssh:"rest"`
	}{Algorithms: []string{algorithms}, Others: make([]byte, 9*4+1+4)})
	padding := 8 - (5+len(payload))%8 + 8
	packet := append([]byte{0, 0, 0, byte(1 + len(payload) + padding), byte(padding)}, payload...)
	return append(packet, make([]byte, padding)...)
}

// kitSession has one program that echoes, in which it is told things, and runs others beside it.
type kitSession struct {
	client *ssh.Client
	told   chan string
	echo   *ssh.Session
}

func kitConnect(_ context.Context, address string, _ *x509.CertPool, token string) (protocoltest.Session, error) {
	config := &ssh.ClientConfig{
		User: loginUser, Auth: []ssh.AuthMethod{ssh.Password(token)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		BannerCallback:  func(string) error { return nil },
		Timeout:         30 * time.Second,
	}
	client, err := ssh.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	s := &kitSession{client: client, told: make(chan string, 1)}
	if s.echo, err = client.NewSession(); err != nil {
		_ = client.Close()
		return nil, err
	}
	stderr, err := s.echo.StderrPipe()
	if err != nil {
		return nil, err
	}
	go func() {
		text, _ := io.ReadAll(stderr)
		s.told <- string(text)
	}()
	return s, nil
}

func (s *kitSession) Operate(context.Context) error {
	program, err := s.client.NewSession()
	if err != nil {
		return err
	}
	defer program.Close()
	var stderr bytes.Buffer
	program.Stderr = &stderr
	if _, err := program.Output("uptime"); err != nil {
		return errors.New(err.Error() + ": " + stderr.String())
	}
	return nil
}

func (s *kitSession) Ended(ctx context.Context) string {
	select {
	case text := <-s.told:
		return text
	case <-ctx.Done():
		return ""
	}
}

func (s *kitSession) Close() error { return s.client.Close() }
