// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

const playbook = `- hosts: all
  gather_facts: false
  tasks:
    - ping:
    - file: {path: FOLDER/there, state: directory, mode: "0750"}
    - copy: {src: FOLDER/large, dest: FOLDER/there/large, mode: "0640"}
    - copy: {content: "text\n", dest: "FOLDER/there/a b"}
    - copy: {content: "text\n", dest: "FOLDER/there/a b"}
    - command: sort "FOLDER/there/a b"
      register: sorted
    - debug: {var: sorted.stdout}
    - shell: "echo out; echo err >&2; exit 3"
      register: failed
      failed_when: failed.rc != 3
    - debug: {msg: "{{ failed.rc }} {{ failed.stdout }} {{ failed.stderr }}"}
    - stat: {path: FOLDER/there/large}
      register: large
    - debug: {msg: "{{ large.stat.size }} {{ large.stat.checksum }} {{ large.stat.mode }}"}
    - fetch: {src: FOLDER/there/large, dest: FOLDER/fetched, flat: true}
    - file: {path: FOLDER/there, state: absent}
`

// TestAnsible: ping, copy, commands and fetch, over OpenSSH's client with one connection for all
// tasks, and each way that Ansible has to bring its modules.
func TestAnsible(t *testing.T) {
	t.Parallel()
	show := func(t *testing.T, s side, method string) string {
		t.Helper()
		return ended(t, ansible(t, s, method)+"end\n")
	}
	want := show(t, direct(), "sftp")
	for _, method := range []string{"sftp", "scp", "piped"} {
		t.Run(method, func(t *testing.T) {
			if got := show(t, byCertificate(), method); got != want {
				t.Errorf("direct:\n%s\nthrough the proxy:\n%s", want, got)
			}
		})
	}
}

// ansible runs the playbook and returns what it shows.
func ansible(t *testing.T, s side, method string) string {
	t.Helper()
	command := s.command(t, program(t, "ansible-playbook"), "-i", "target,", "play.yaml")
	write(t, command.Dir, "play.yaml", strings.ReplaceAll(playbook, "FOLDER", command.Dir))
	large := strings.Repeat("0123456789abcdef", 100_000)
	write(t, command.Dir, "large", large)
	known := write(t, home(command), "known_hosts", fmt.Sprintf("[%s]:%d %s", s.host, s.port, gossh.MarshalAuthorizedKey(s.hostKey)))
	// The path of a socket is short, which that of a test's folder is not.
	sockets, err := os.MkdirTemp("", "ansible-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	socket := sockets + "/s"
	t.Cleanup(func() {
		_ = exec.Command("ssh", "-F", "none", "-o", "ControlPath="+socket, "-O", "exit", "target").Run()
		if err := os.RemoveAll(sockets); err != nil {
			t.Error(err)
		}
	})
	vars := map[string]string{
		"ansible_host": s.host, "ansible_port": strconv.Itoa(s.port), "ansible_user": account, "ansible_ssh_private_key_file": s.key,
		"ansible_python_interpreter": debianPython, "ansible_ssh_transfer_method": method, "ansible_remote_tmp": command.Dir + "/tmp",
		"ansible_ssh_common_args": "-F none -o UserKnownHostsFile=" + known + " -o IdentitiesOnly=yes",
		"ansible_ssh_args":        "-o ControlMaster=auto -o ControlPersist=600 -o ControlPath=" + socket,
		"ansible_control_path":    socket, "ansible_ssh_retries": "0", "ansible_timeout": "120",
	}
	for name, value := range vars {
		command.Args = append(command.Args, "-e", fmt.Sprintf("%s=%q", name, value))
	}
	command.Env = append(command.Env, "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=0")
	shown := output(t, command)
	fetched, err := os.ReadFile(command.Dir + "/fetched")
	if err != nil || string(fetched) != large {
		t.Errorf("what was fetched is not what was copied: %v", err)
	}
	return regexp.MustCompile(`\*{3,}`).ReplaceAllString(shown, "***")
}
