// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/proc"
)

const (
	startTimeout = time.Minute
	pollInterval = 20 * time.Millisecond
)

// Account is somebody who may log in.
type Account struct {
	// Name is the login name; without root, that of the user who runs the test.
	Name string
	// Password, where not empty, lets the account in. It needs root.
	Password string
	// AuthorizedKeys let the account in.
	AuthorizedKeys []ssh.PublicKey
}

// Options of [Start]. The zero value lets nobody in.
type Options struct {
	// Accounts who may log in, each with a home folder of its own where there is root.
	Accounts []Account
	// TrustedUserCAs certify users: who has a certificate for an account's name gets in.
	TrustedUserCAs []ssh.PublicKey
	// HostAuthority, where set, certifies the host key, for 127.0.0.1 and localhost.
	HostAuthority ssh.Signer
	// Config are lines of sshd_config that win over what is set here. After a Match block
	// has to come "Match all".
	Config []string
	// LogPath is where the log goes; a file that [Server.Stop] removes where empty.
	LogPath string
	// Port to listen on; a free one where zero.
	Port int
}

// Server is a running sshd.
type Server struct {
	Host string
	Port int
	// HostKey is the server's, ed25519.
	HostKey ssh.PublicKey
	// HostCertificate is that of HostKey; nil without Options.HostAuthority.
	HostCertificate *ssh.Certificate
	// LogPath holds the server's log.
	LogPath string

	dir      string
	path     string // of sshd
	accounts []Account
	process  *proc.Process
}

// ErrNoSSHD says what to install.
var ErrNoSSHD = errors.New("no OpenSSH server: run `hack/install-deps.sh ssh`, or install it (Debian: apt-get install openssh-server)")

// ErrNotRoot is wrapped by the error of a server that only root can start.
var ErrNotRoot = errors.New("only root, on Linux, can run sshd with accounts of its own")

// Start runs a server until [Server.Stop]. The context bounds the start only.
func Start(ctx context.Context, options Options) (_ *Server, err error) {
	s := &Server{Host: proc.Loopback, LogPath: options.LogPath, accounts: options.Accounts}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.path, err = find("sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "doorward-sshd-"); err != nil {
		return nil, fmt.Errorf("cannot make sshd's folder: %w", err)
	}
	// Accounts reach their homes through it; what is private says so itself.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return nil, err
	}
	if s.LogPath == "" {
		s.LogPath = filepath.Join(s.dir, "sshd.log")
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	if err := s.writeKeys(options); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := proc.OnPort(ctx, options.Port, func(port int) error {
		s.Port = port
		return s.start(ctx, options)
	}); err != nil {
		return nil, err
	}
	return s, nil
}

// StartT is [Start] for one test; the server ends with it. A test whose accounts need root is
// skipped without.
func StartT(tb testing.TB, options Options) *Server {
	tb.Helper()
	s, err := Start(tb.Context(), options)
	if errors.Is(err, ErrNotRoot) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatalf("cannot start sshd: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("cannot stop sshd: %v", err)
		}
	})
	return s
}

// Stop ends the server, as root with its sessions, and removes its files.
func (s *Server) Stop() error {
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.Stop())
		s.process = nil
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Home is the home folder of an account.
func (s *Server) Home(account string) string { return filepath.Join(s.dir, "home", account) }

// Log returns what the server has logged so far.
func (s *Server) Log() (string, error) {
	content, err := os.ReadFile(s.LogPath)
	if err != nil {
		return "", fmt.Errorf("cannot read sshd's log: %w", err)
	}
	return string(content), nil
}

// AwaitLog waits until a line of the log holds all the texts, and returns it.
func (s *Server) AwaitLog(ctx context.Context, texts ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		log, err := s.Log()
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(log) {
			if holds(line, texts) {
				return strings.TrimSpace(line), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no line of sshd's log holds %q: %w; it is:\n%s", texts, ctx.Err(), log)
		case <-tick.C:
		}
	}
}

func holds(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

// start runs sshd until it listens.
func (s *Server) start(ctx context.Context, options Options) error {
	config := filepath.Join(s.dir, "sshd_config")
	if err := os.WriteFile(config, []byte(s.config(options)), 0o600); err != nil {
		return fmt.Errorf("cannot write sshd_config: %w", err)
	}
	command := proc.Command{Path: s.path, Args: []string{"-D", "-f", config, "-E", s.LogPath}, Dir: s.dir, Output: s.LogPath}
	s.separate(&command)
	var err error
	if s.process, err = proc.Start(command); err != nil {
		return err
	}
	listens := fmt.Sprintf("Server listening on %s port %d", s.Host, s.Port)
	return s.process.WaitReady(ctx, pollInterval, func(context.Context) error {
		log, err := s.Log()
		if err == nil && !strings.Contains(log, listens) {
			err = errors.New("it does not listen yet")
		}
		return err
	})
}
