// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/cli/connect"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestAnswer: checklist 47. ssh is told the token where it asks for that, and nothing is told to whoever
// else makes it ask.
func TestAnswer(t *testing.T) {
	const right = "+shop/a-connection-with-a-long-name@doorward-a.shop.svc's password: "
	program := filepath.Join(t.TempDir(), "doorward-askpass")
	stacktest.Must(t, os.WriteFile(filepath.Join(filepath.Dir(program), "answer"), []byte(right+"\n"+"+shop/a-connection-with-a-long@doorward-a.shop.svc's password: \ntoken"), 0o600))
	for name, tc := range map[string]struct {
		reason string
		prompt []string
		want   string
	}{
		"Token":        {"the proxy has ssh ask for it", []string{right}, "token\n"},
		"Cut":          {"ssh cuts long names", []string{"+shop/a-connection-with-a-long@doorward-a.shop.svc's password: "}, "token\n"},
		"Jump":         {"another server on the way has ssh ask", []string{"me@bastion.example.com's password: "}, ""},
		"Interactive":  {"a server's own words, which can be any, stand behind a name", []string{"(me@bastion.example.com) " + right}, ""},
		"Passphrase":   {"a key of the user's", []string{"Enter passphrase for key '/home/me/.ssh/id_ed25519': "}, ""},
		"HostKey":      {"nobody confirms a host key", []string{"Are you sure you want to continue connecting (yes/no/[fingerprint])? "}, ""},
		"Token itself": {"a line of the answer is no question", []string{"token"}, ""},
		"Nothing":      {"ssh always asks something", nil, ""},
		"More":         {"ssh asks one thing", []string{right, right}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := connect.Answer(append([]string{program}, tc.prompt...), &out)
			if out.String() != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%s: got %q, %v, want %q", tc.reason, out.String(), err, tc.want)
			}
		})
	}
	if !connect.Asked(program) || !connect.Asked(program+".exe") || connect.Asked("/usr/bin/kubectl-doorward") {
		t.Error("the plugin is told from the program by the name")
	}
}

// TestListenSSH: ssh goes through a port of this machine, checks the proxy from end to end, and
// finds all that it needs in a folder that ends with the command.
func TestListenSSH(t *testing.T) {
	folder := ""
	t.Run("Open", func(t *testing.T) {
		l := openTo(t, stack.HostConnection, "127.0.0.1:0")
		_, with, _ := strings.Cut(l.said["ssh"], "-F ")
		config, name, _ := strings.Cut(with, " ")
		folder = filepath.Dir(config)
		askpass := filepath.Join(t.TempDir(), "askpass")
		stacktest.Must(t, os.WriteFile(askpass, []byte("#!/bin/sh\ncat '"+l.tokenFile+"'\n"), 0o700))
		command := exec.CommandContext(t.Context(), "ssh", "-F", config, name, "ls", filepath.Join(host.Home(), "releases"))
		command.Env = append(os.Environ(), "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force")
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "site\n") {
			t.Errorf("%v: %s", err, out)
		}
	})
	if _, err := os.Stat(folder); folder == "" || !os.IsNotExist(err) {
		t.Errorf("folder %q is left: %v", folder, err)
	}
}
