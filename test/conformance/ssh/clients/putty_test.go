// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// putty is one of PuTTY's programs, which asks nobody.
func putty(t *testing.T, s side, name string, args ...string) *exec.Cmd {
	t.Helper()
	command := s.command(t, program(t, name), "-batch", "-noagent", "-P", strconv.Itoa(s.port), "-l", account, "-hostkey", s.fingerprint())
	if s.password != "" {
		command.Args = append(command.Args, "-pwfile", write(t, home(command), "password", s.password+"\n"))
	} else {
		key := home(command) + "/key.ppk"
		// PuTTY keeps a certificate within its own form of the key.
		convert := s.command(t, program(t, "puttygen"), s.key, "-o", key)
		if s.certificate != "" {
			convert.Args = append(convert.Args, "--certificate", s.certificate)
		}
		output(t, convert)
		command.Args = append(command.Args, "-i", key)
	}
	command.Args = append(command.Args, args...)
	return command
}

// TestPlink: PuTTY's connections, with commands, standard input, a terminal, a shell, and a
// connection that it hands through.
func TestPlink(t *testing.T) {
	t.Parallel()
	alike(t, func(t *testing.T, s side) string {
		t.Helper()
		var shown strings.Builder
		for _, tc := range []struct {
			name, input string
			args        []string
		}{
			{name: "status", args: []string{s.host, "echo out; echo err >&2; exit 7"}},
			{name: "standard input", input: strings.Repeat("b\na\n", 200_000), args: []string{s.host, "sort | sha256sum"}},
			{name: "output", args: []string{s.host, "head -c 3000000 /dev/zero | tr '\\0' x"}},
			{name: "terminal", args: []string{"-t", s.host, "test -t 0 && test -t 1 && echo terminal; exit 3"}},
			{name: "shell", input: "echo one\nexit 4\n", args: []string{"-T", s.host}},
			{name: "killed", args: []string{s.host, "kill -KILL $$"}},
		} {
			command := putty(t, s, "plink", tc.args...)
			command.Stdin = strings.NewReader(tc.input)
			fmt.Fprintf(&shown, "%s: %s\n", tc.name, said(t, command))
		}
		// What answers is the sshd itself: its first line.
		command := putty(t, s, "plink", "-nc", target.Address(), s.host)
		command.Stdin = strings.NewReader("no SSH\r\n")
		fmt.Fprintf(&shown, "handed through: %t\n", strings.Contains(said(t, command), "SSH-2.0-OpenSSH"))
		return shown.String()
	}, byToken(), byCertificate())
}

// TestPSFTP: PuTTY's SFTP client, by a script of its own words.
func TestPSFTP(t *testing.T) {
	t.Parallel()
	alike(t, func(t *testing.T, s side) string {
		t.Helper()
		command := putty(t, s, "psftp", "-b", "batch", "-be", s.host)
		large := strings.Repeat("0123456789abcdef", 150_000)
		write(t, command.Dir, "large", large)
		write(t, command.Dir, "tree/a", "a")
		write(t, command.Dir, "tree/below/b", "b")
		write(t, command.Dir, "batch", strings.ReplaceAll(`mkdir FOLDER/there
cd FOLDER/there
pwd
put FOLDER/large
chmod 600 large
get large FOLDER/got
reget large FOLDER/got
mv large moved
put -r FOLDER/tree
ls tree/below/none
mkdir tree
get -r tree FOLDER/back
mget m*
del moved
del none
rmdir tree/below
del tree/below/b
del tree/a
rmdir tree/below
rmdir tree
ls
quit
`, "FOLDER", command.Dir))
		shown := said(t, command)
		for name, want := range map[string]string{"got": large, "moved": large, "back/a": "a", "back/below/b": "b"} {
			if got, err := os.ReadFile(command.Dir + "/" + name); err != nil || string(got) != want {
				t.Errorf("%s: %s is not what was sent: %v\n%s", s.name, name, err, shown)
			}
		}
		return withoutTimes(shown)
	}, byToken(), byCertificate())
}

// TestPSCP: PuTTY's copies, by SFTP and by scp's old protocol.
func TestPSCP(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"-sftp", "-scp"} {
		t.Run(how[1:], func(t *testing.T) {
			t.Parallel()
			for _, s := range []side{byToken(), byCertificate()} {
				large := strings.Repeat("0123456789abcdef", 150_000)
				folder := t.TempDir()
				source := write(t, folder, "source", large)
				for from, to := range map[string]string{source: s.host + ":" + folder + "/there", s.host + ":" + source: folder + "/here"} {
					output(t, putty(t, s, "pscp", "-q", "-p", how, from, to))
				}
				for _, name := range []string{"there", "here"} {
					if got, err := os.ReadFile(folder + "/" + name); err != nil || string(got) != large {
						t.Errorf("%s: %s is not what was sent: %v", s.name, name, err)
					}
				}
			}
		})
	}
}

// withoutTimes takes out what of a list of files depends on when they were made.
func withoutTimes(shown string) string {
	lines := strings.Split(shown, "\n")
	for i, line := range lines {
		if fields := strings.Fields(line); len(fields) == 9 && strings.HasPrefix(line, "d") || len(fields) == 9 && strings.HasPrefix(line, "-") {
			lines[i] = strings.Join(append(fields[:5:5], fields[8]), " ")
		}
	}
	return strings.Join(lines, "\n")
}
