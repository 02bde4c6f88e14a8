// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// regressScripts are those of OpenSSH's regression tests that have to do with what a proxy carries.
// docs/protocols/ssh.md says of all others why they are not among them.
var regressScripts = []string{
	"connect", "proxy-connect", "connect-uri", "proto-version", "exit-status", "exit-status-signal", "transfer", "stderr-data", "stderr-after-eof",
	"broken-pipe", "yes-head", "try-ciphers", "kextype", "rekey", "integrity", "localcommand", "envpass", "forcecommand", "forwarding",
	"forward-control", "dynamic-forward", "multiplex", "channel-timeout", "connection-timeout", "login-timeout", "host-expand", "percent", "portnum",
	"sftp", "sftp-cmds", "sftp-badcmds", "sftp-batch", "sftp-glob", "sftp-uri", "sftp-chroot", "scp", "scp3", "scp-uri",
	"banner", "key-options", "cfgmatch", "allow-deny-users", "authinfo",
}

// scriptBound is how long one script may run.
const scriptBound = 20 * time.Minute

func opensshSuite(ctx context.Context, s settings) (*suite, error) {
	source := s.checkouts["openssh"]
	for _, name := range []string{"test-exec.sh", "netcat"} {
		if _, err := os.Stat(filepath.Join(source, name)); err != nil {
			return nil, fmt.Errorf("OpenSSH's regression tests are not at hand: on Debian apt-get install openssh-tests, or have -openssh name where they are: %w", err)
		}
	}
	version, err := exec.CommandContext(ctx, "ssh", "-V").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("no OpenSSH client: run `hack/install-deps.sh ssh`: %w", err)
	}
	names := regressScripts
	if s.run != "" {
		names = strings.Split(s.run, ",")
	}
	return &suite{
		name: "OpenSSH's regression tests", version: strings.TrimSpace(string(version)),
		run: func(ctx context.Context, proxied bool) (_ outcomes, err error) {
			r, err := openRegress(ctx, source, proxied)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, r.close()) }()
			all := outcomes{}
			for _, name := range names {
				all[name] = r.script(ctx, name)
				fmt.Fprintf(os.Stderr, "  %s: %s\n", name, all[name].result)
			}
			return all, ctx.Err()
		},
	}, nil
}

// skippedScript is how a script says that it does not run here.
var skippedScript = regexp.MustCompile(`(?mi)^skipped\b`)

// script runs one script, which fails by its exit status.
func (r *regress) script(ctx context.Context, name string) outcome {
	ctx, cancel := context.WithTimeout(ctx, scriptBound)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", r.path("test-exec.sh"), r.dir, r.path(name+".sh"))
	command.Dir, command.Env = r.dir, append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SSH_") }),
		"TEST_SHELL=sh", "BUILDDIR="+r.dir, "TEST_SSH_UNSAFE_PERMISSIONS=1", "TEST_SSH_PORT="+strconv.Itoa(r.port),
		"TEST_SSH_SSH="+r.path("through-ssh"), "TEST_SSH_SSHD="+r.path("through-sshd"), "TEST_SSH_SFTPSERVER="+r.path("through-sftp-server"),
	)
	// Clients that a script leaves behind end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	var output strings.Builder
	command.Stdout, command.Stderr, command.WaitDelay = &output, &output, 10*time.Second
	err := command.Run()
	if command.Process != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGTERM) // nobody may be left
	}
	r.forget()
	switch {
	case errors.Is(err, exec.ErrWaitDelay) || err == nil:
		if skippedScript.MatchString(output.String()) {
			return outcome{skipped, output.String()}
		}
		return outcome{result: passed}
	default:
		return outcome{failed, output.String() + "\n" + err.Error()}
	}
}
