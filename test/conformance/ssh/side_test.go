// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/proc"
)

// clientTimeout bounds one script on a loaded machine.
const clientTimeout = 4 * time.Minute

// side is one way to the target.
type side struct {
	name, dir string
	port      int
}

// newSide makes the programs of one side.
func (s *suite) newSide(name string, port int, toTarget, toSecond []string) (side, error) {
	w := side{name: name, dir: s.file(name), port: port}
	host := func(name string, port int, how []string) []string {
		return append([]string{"Host " + name, "HostName " + proc.Loopback, "Port " + strconv.Itoa(port), "User " + s.account}, how...)
	}
	lines := append(host("target", port, toTarget), host("second", s.second.Port, toSecond)...)
	lines = append(lines, "Host *", "StrictHostKeyChecking yes", "GlobalKnownHostsFile none", "UpdateHostKeys no", "CheckHostIP no", "")
	errs := []error{
		os.MkdirAll(filepath.Join(w.dir, "bin"), 0o755),
		os.WriteFile(w.config(), []byte(strings.Join(lines, "\n")), 0o600),
	}
	for _, program := range []string{"ssh", "scp", "sftp"} {
		path, err := exec.LookPath(program)
		script := fmt.Sprintf("#!/bin/sh\nexec %s -F %s \"$@\"\n", path, w.config())
		errs = append(errs, err, os.WriteFile(filepath.Join(w.dir, "bin", program), []byte(script), 0o755))
	}
	return w, errors.Join(errs...)
}

func (s side) config() string { return filepath.Join(s.dir, "config") }

// place is where one test works on one side.
type place struct {
	side

	root string
	env  []string
}

// newPlace makes $LOCAL, where clients work, and $REMOTE, where their programs do. Of the other
// variables, $CTL is where the socket of a ControlMaster goes, $PORT is nobody's, $DATA is
// a file, and $SECOND and those of services are ports, of the second server and of what listens.
func (s side) newPlace(tb testing.TB) *place {
	tb.Helper()
	root, err := os.MkdirTemp(s.dir, "") //nolint:usetesting // paths of sockets must be short
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			tb.Error(err)
		}
	})
	p := &place{side: s, root: root}
	for _, dir := range []string{p.local(), p.remote()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	port, err := proc.FreePort(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	p.env = append([]string{
		"PATH=" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + root, "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=xterm",
		"SSH_ASKPASS=" + shared.file("askpass"), "SSH_ASKPASS_REQUIRE=force", "XAUTHORITY=" + filepath.Join(root, "xauthority"),
		"LOCAL=" + p.local(), "REMOTE=" + p.remote(), "CTL=" + filepath.Join(root, "ctl"), "KEY=" + shared.file("key"), "DATA=" + shared.file("data"),
		"KNOWN_HOSTS=" + shared.file("known_hosts"), "ACCOUNT=" + shared.account,
		"PORT=" + strconv.Itoa(port), "SECOND=" + strconv.Itoa(shared.second.Port),
	}, shared.services.env()...)
	return p
}

func (p *place) local() string  { return filepath.Join(p.root, "local") }
func (p *place) remote() string { return filepath.Join(p.root, "remote") }

func (p *place) command(tb testing.TB, program string, args ...string) *exec.Cmd {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), clientTimeout)
	tb.Cleanup(cancel)
	command := exec.CommandContext(ctx, program, args...)
	command.Dir, command.Env, command.WaitDelay = p.local(), p.env, 10*time.Second
	return command
}

// outcome is what came of a script.
type outcome struct {
	Stdout, Stderr string
	Status         int
	Local, Remote  []string
}

// shell runs a script of bash to its end.
func (p *place) shell(tb testing.TB, script string) outcome {
	tb.Helper()
	var out, trouble bytes.Buffer
	command := p.command(tb, "bash", "-uc", script)
	command.Stdout, command.Stderr = &out, &trouble
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || command.ProcessState.ExitCode() < 0 {
		tb.Fatalf("%s: %v\n%s\n%s", p.name, err, clip(out.String()), clip(trouble.String()))
	}
	return outcome{
		Stdout: p.wash(out.String()), Stderr: p.wash(trouble.String()), Status: command.ProcessState.ExitCode(),
		Local: tree(tb, p.local()), Remote: tree(tb, p.remote()),
	}
}

// wash takes out what two sides differ in anyhow.
func (p *place) wash(text string) string {
	text = strings.ReplaceAll(text, p.root, "FOLDER")
	return strings.ReplaceAll(text, strconv.Itoa(p.port), "PORT")
}

// conformance is one thing that clients do.
type conformance struct {
	name, reason string
	// script does it, in bash.
	script string
	// want is in what it shows, which tells that it was done.
	want string
}

// alike runs scripts on both sides.
func alike(t *testing.T, tests []conformance) {
	t.Helper()
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			want := shared.direct.newPlace(t).shell(t, tc.script)
			between := time.Now()
			got := shared.proxied.newPlace(t).shell(t, tc.script)
			t.Logf("direct %s, through the proxy %s", between.Sub(began).Round(time.Millisecond), time.Since(between).Round(time.Millisecond))
			if !strings.Contains(want.Stdout, tc.want) {
				t.Fatalf("the client did not do its work, which shows by %q:\n%s\n%s", tc.want, clip(want.Stdout), clip(want.Stderr))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-direct +through the proxy):\n%s", tc.reason, clip(diff))
			}
		})
	}
}

func clip(text string) string {
	const most = 8000
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
