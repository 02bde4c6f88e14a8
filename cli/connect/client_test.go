// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package connect_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
)

// The command ends as its client did, and passes signals on to it.
func TestEndsAsTheClient(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		say    string
		signal os.Signal
		want   int
	}{
		"Success": {reason: "all was well", say: "SELECT 1;\n\\q\n", want: 0},
		"Script":  {reason: "psql has 3 for an error in a script", args: []string{"-v", "ON_ERROR_STOP=1"}, say: "DROP TABLE public.orders;\n", want: 3},
		"Usage":   {reason: "psql has 1 for itself, where the plugin has 2", args: []string{"--no-such-option"}, want: 1},
		"TERM":    {reason: "as shells say it: 128 and the signal's number", say: "\\echo ready\n", signal: syscall.SIGTERM, want: 128 + 15},
		"HUP":     {reason: "a terminal that goes away", say: "\\echo ready\n", signal: syscall.SIGHUP, want: 128 + 1},
	}
	bin, err := pgtest.BinDir()
	if err != nil {
		t.Fatal(err)
	}
	own, err := person(t.TempDir(), "alice", "analysts")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range own {
		t.Setenv(name, value)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	run := func(t *testing.T, args ...string) *exec.Cmd {
		t.Helper()
		return exec.CommandContext(t.Context(), world.Plugin(), args...)
	}
	if out, err := run(t, "login", "--token-file", own["TOKEN"]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			command := run(t, append([]string{"connect", stack.Connection, "--namespace", stack.Namespace, "--", "-X"}, tc.args...)...)
			in, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Write([]byte(tc.say)); err != nil && tc.say != "" && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if tc.signal != nil {
				for lines.Scan() && !strings.Contains(lines.Text(), "ready") {
				}
				if err := command.Process.Signal(tc.signal); err != nil {
					t.Fatal(err)
				}
			} else if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			_ = command.Wait()
			if got := command.ProcessState.ExitCode(); got != tc.want {
				t.Errorf("%s: want exit code %d, got %d", tc.reason, tc.want, got)
			}
		})
	}
}
