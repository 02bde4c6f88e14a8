// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sshhost finds out whether OpenSSH's client believes a server to be the host
// that it was told to log in at: what known_hosts, host keys and host certificates are
// for. The server is a small one of x/crypto/ssh, on loopback, that lets everybody in.
package sshhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Server shows host keys to whoever comes.
type Server struct {
	// Port it listens on, on 127.0.0.1.
	Port string
	// Keys are asked for at each connection.
	Keys func() ([]ssh.Signer, error)
}

// handshakeBound is how long a client may take, on a machine that is busy.
const handshakeBound = 2 * time.Minute

// Listen starts a server that ends with the test.
func Listen(tb testing.TB, keys func() ([]ssh.Signer, error)) *Server {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{Port: port, Keys: keys}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_ = s.serve(conn) // what the client thinks of it counts
			})
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return s
}

// serve lets a client run anything, with status 0.
func (s *Server) serve(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(handshakeBound)); err != nil {
		return err
	}
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	for _, key := range keys {
		config.AddHostKey(key)
	}
	client, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	defer client.Close()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { ssh.DiscardRequests(requests) })
	for opened := range channels {
		channel, requests, err := opened.Accept()
		if err != nil {
			return err
		}
		running.Go(func() {
			for request := range requests {
				_ = request.Reply(request.Type == "exec", nil)
				if request.Type == "exec" {
					_, _ = channel.SendRequest("exit-status", false, make([]byte, 4))
					_ = channel.Close()
				}
			}
		})
	}
	return nil
}

// Login says where to log in, and what the client knows of hosts.
type Login struct {
	// Host leads to loopback: localhost, or 127.0.0.1.
	Host string
	// Alias, where set, is the name that the host is looked up by in its place.
	Alias string
	// KnownHosts is the client's file.
	KnownHosts string
}

// OpenSSH logs in with the client "ssh", which trusts no host that KnownHosts does not
// vouch for, and asks nobody. The error has what it said.
func (s *Server) OpenSSH(tb testing.TB, login Login) error {
	tb.Helper()
	path, err := exec.LookPath("ssh")
	if err != nil {
		tb.Fatal("the OpenSSH client is not installed: apt-get install openssh-client")
	}
	known := filepath.Join(tb.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(login.KnownHosts), 0o600); err != nil {
		tb.Fatal(err)
	}
	arguments := []string{
		"-F", "none", "-p", s.Port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + known, "-o", "GlobalKnownHostsFile=/dev/null", "-o", "UpdateHostKeys=no",
	}
	if login.Alias != "" {
		arguments = append(arguments, "-o", "HostKeyAlias="+login.Alias)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), handshakeBound)
	defer cancel()
	command := exec.CommandContext(ctx, path, append(arguments, "somebody@"+login.Host, "true")...)
	said, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// Refused says whether an error of OpenSSH is that the host was not verified, and not
// that it could not be reached.
func Refused(err error) error {
	switch {
	case err == nil:
		return errors.New("the client logged in")
	case !strings.Contains(err.Error(), "Host key verification failed"):
		return fmt.Errorf("the client did not come to verify the host: %w", err)
	}
	return nil
}
