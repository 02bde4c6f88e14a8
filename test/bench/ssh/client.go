// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/proc"
)

// program finds one on the PATH or where Debian keeps it.
func program(names ...string) (string, error) {
	var errs []error
	for _, name := range names {
		found, err := exec.LookPath(name)
		if err == nil {
			return found, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// options are those of OpenSSH's clients, ssh and sftp, for a path.
func (p *place) options(to path) []string {
	list := []string{
		"Port=" + to.port, "User=" + p.account, "BatchMode=yes", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=none",
		"UserKnownHostsFile=" + to.known, "UpdateHostKeys=no", "IdentitiesOnly=yes", "IdentityAgent=none", "IdentityFile=" + p.file("key"),
		"PreferredAuthentications=publickey", "Ciphers=" + ciphers, "KexAlgorithms=" + keyExchange, "LogLevel=ERROR",
	}
	if to.plain {
		list = append(list, "HostKeyAlgorithms="+ssh.KeyAlgoED25519)
	} else {
		list = append(list, "HostKeyAlgorithms="+ssh.CertAlgoED25519v01, "CertificateFile="+p.file("certificate"))
	}
	arguments := []string{"-F", "none"}
	for _, option := range list {
		arguments = append(arguments, "-o", option)
	}
	return arguments
}

// client is one of OpenSSH's. Arguments follow the host's name.
func (p *place) client(ctx context.Context, name string, to path, own []string, arguments ...string) *exec.Cmd {
	all := append(append(p.options(to), own...), proc.Loopback)
	return exec.CommandContext(ctx, name, append(all, arguments...)...)
}

// finish runs a client to its end, and has what it said in the error.
func finish(command *exec.Cmd, to path) error {
	var said bytes.Buffer
	command.Stderr = &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s through %s: %w: %s", command.Path, to.name, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// master logs in and stays, so that what is measured through it is not the login.
type master struct {
	path
	socket string
	stop   func() error
}

// login opens a master on a path.
func (p *place) login(ctx context.Context, to path) (*master, error) {
	p.made++
	m := &master{path: to, socket: fmt.Sprintf("%s/%d", p.dir, p.made)}
	control := []string{"-o", "ControlPath=" + m.socket}
	// It goes to the background once it has logged in.
	command := p.client(ctx, "ssh", to, append(control, "-o", "ControlMaster=yes", "-f", "-N"))
	// It keeps its standard error open, for which Run would wait.
	said, err := os.Create(m.socket + ".log")
	if err != nil {
		return nil, fmt.Errorf("cannot log in: %w", err)
	}
	defer said.Close()
	command.Stderr = said
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(m.socket + ".log")
		return nil, fmt.Errorf("cannot log in through %s: %w: %s", to.name, err, strings.TrimSpace(string(text)))
	}
	m.stop = func() error {
		return finish(p.client(context.WithoutCancel(ctx), "ssh", to, append(control, "-O", "exit")), to)
	}
	return m, nil
}

// over is a client that goes through a master.
func (p *place) over(ctx context.Context, m *master, name string, own []string, arguments ...string) *exec.Cmd {
	return p.client(ctx, name, m.path, append([]string{"-o", "ControlPath=" + m.socket}, own...), arguments...)
}
