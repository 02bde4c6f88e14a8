// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// TestDropbear: dropbear's client, with commands, both streams, standard input, a shell and a
// connection that it hands through. It knows no certificates.
func TestDropbear(t *testing.T) {
	t.Parallel()
	alike(t, func(t *testing.T, s side) string {
		t.Helper()
		var shown strings.Builder
		for _, tc := range []struct {
			name, input   string
			options, args []string
		}{
			{name: "status", args: []string{"echo out; echo err >&2; exit 7"}},
			{name: "standard input", input: strings.Repeat("b\na\n", 200_000), args: []string{"sort | sha256sum"}},
			{name: "output", args: []string{"head -c 3000000 /dev/zero | tr '\\0' x"}},
			// Beyond its window dropbear's client may stand still, directly too.
			{name: "standard error", args: []string{"head -c 20000 /dev/zero | tr '\\0' x >&2"}},
			{name: "shell", input: "echo one\nexit 4\n", options: []string{"-T"}},
			{name: "keep-alive", options: []string{"-K", "1"}, args: []string{"sleep 3; echo awake"}},
			{name: "killed", args: []string{"kill -KILL $$"}},
		} {
			fmt.Fprintf(&shown, "%s: %s\n", tc.name, dbclient(t, s, tc.input, tc.options, tc.args...))
		}
		// What answers is the sshd itself: its first line.
		banner := dbclient(t, s, "", []string{"-B", target.Address()})
		fmt.Fprintf(&shown, "handed through: %t\n", strings.Contains(banner, "SSH-2.0-OpenSSH"))
		return shown.String()
	}, byToken())
}

// dbclient runs the client and returns all that it shows.
func dbclient(t *testing.T, s side, input string, options []string, args ...string) string {
	t.Helper()
	command := s.command(t, program(t, "dbclient"), "-p", strconv.Itoa(s.port), "-l", account)
	write(t, home(command), ".ssh/known_hosts", fmt.Sprintf("%s %s", s.host, gossh.MarshalAuthorizedKey(s.hostKey)))
	if s.password != "" {
		command.Env = append(command.Env, "DROPBEAR_PASSWORD="+s.password)
	} else {
		key := home(command) + "/key"
		output(t, s.command(t, program(t, "dropbearconvert"), "openssh", "dropbear", s.key, key))
		command.Args = append(command.Args, "-i", key)
	}
	command.Args = append(append(command.Args, options...), s.host)
	command.Args = append(command.Args, args...)
	command.Stdin = strings.NewReader(input)
	return said(t, command)
}

// said runs a command and returns all that it shows, and how it ended.
func said(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	var out, trouble strings.Builder
	command.Stdout, command.Stderr = &out, &trouble
	err := command.Run()
	if command.ProcessState == nil || t.Context().Err() != nil {
		t.Fatalf("%s: %v", command.Path, err)
	}
	return fmt.Sprintf("%s%s%v", wash(command, abridged(out.String())), wash(command, abridged(prompts.ReplaceAllString(trouble.String(), ""))), command.ProcessState)
}

// prompts are what clients show where they are asked for a token.
var prompts = regexp.MustCompile(`Keyboard-interactive authentication prompts from server:\r?\n|End of keyboard-interactive prompts from server\r?\n|` +
	`Login for \S+\r?\n+Paste a token of your identity provider\.`)

// abridged is a text, or its size where it is long.
func abridged(text string) string {
	if len(text) > 10_000 {
		return fmt.Sprintf("%d bytes, %d of x\n", len(text), strings.Count(text, "x"))
	}
	return text
}
