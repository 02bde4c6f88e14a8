// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strings"
	"testing"
)

// TestExecOnly: where policies allow some commands by name, each client shows why it gets nothing
// else, ends as it does on failure, and nothing was done (checklist 8).
func TestExecOnly(t *testing.T) {
	const alice = "no AccessPolicy allows alice@example.com to "
	tests := map[string]struct {
		reason, script string
		// want are in what the client shows, status is its own; left are the files that are there.
		want   []string
		status int
	}{
		"Allowed":       {reason: "what is allowed runs", script: `echo in | ssh target 'cat | wc -c'; ssh target /usr/bin/id -un >/dev/null`, want: []string{"3\n"}},
		"Shell":         {reason: "no shell with a terminal", script: `ssh -tt target </dev/null`, want: []string{alice + "shell"}, status: 126},
		"ShellPiped":    {reason: "none without", script: `echo "touch $REMOTE/done" | ssh -T target`, want: []string{alice + "shell"}, status: 126},
		"Command":       {reason: "no other command", script: `ssh target "touch $REMOTE/done"`, want: []string{alice + "exec touch"}, status: 126},
		"CommandHidden": {reason: "also not beside one that is allowed: nothing of the line runs", script: `ssh target "cat /dev/null; touch $REMOTE/done"`, want: []string{alice + "exec touch"}, status: 126},
		"CommandByShell": {
			reason: "none whose text does not tell", script: `ssh target 'cat $(printf dG91Y2g= | base64 -d)'`, want: []string{"Doorward: " + alice}, status: 126,
		},
		"Redirection": {reason: "no file is written", script: `ssh target "cat >$REMOTE/done" </dev/null`, want: []string{alice + "write"}, status: 126},
		"SFTP":        {reason: "no SFTP", script: `echo "put $DATA $REMOTE/done" | sftp -oBatchMode=no -b - target`, want: []string{alice + "subsystem sftp"}, status: 255},
		"SCP":         {reason: "no scp by SFTP", script: `scp $DATA target:$REMOTE/done`, want: []string{alice + "subsystem sftp"}, status: 255},
		"SCPOld":      {reason: "nor by its own protocol", script: `scp -O $DATA target:$REMOTE/done`, want: []string{alice + "upload"}, status: 1},
		"Rsync":       {reason: "no rsync", script: `rsync $DATA target:$REMOTE/done || echo failed`, want: []string{alice + "upload", "failed"}},
		"Git":         {reason: "no git", script: `git ls-remote target:$REMOTE/none`, want: []string{alice + "download"}, status: 128},
		"Forward":     {reason: "no -W, so no -J", script: `ssh -W 127.0.0.1:$HTTP target`, want: []string{"administratively prohibited", alice + "forward 127.0.0.1:"}, status: 255},
		"Jump":        {reason: "no -J", script: `ssh -J target second true`, want: []string{alice + "forward 127.0.0.1:"}, status: 255},
		"Local": {
			reason: "-L says so for each connection", script: `ssh -L 127.0.0.1:$PORT:127.0.0.1:$HTTP -E $LOCAL/log -fNM -S $CTL target; curl -s http://127.0.0.1:$PORT/hello; ssh -S $CTL -O exit target; cat $LOCAL/log`,
			want: []string{"administratively prohibited", alice + "forward 127.0.0.1:"},
		},
		"Remote": {
			reason: "no -R: OpenSSH has words of its own for it", script: `ssh -o ExitOnForwardFailure=yes -R 127.0.0.1:$PORT:127.0.0.1:$HTTP target 'cat /dev/null'`,
			want: []string{"remote port forwarding failed for listen port"}, status: 255,
		},
		"Dynamic": {
			reason: "no -D", script: `ssh -D 127.0.0.1:$PORT -E $LOCAL/log -fNM -S $CTL target; curl -s -x socks5h://127.0.0.1:$PORT http://localhost:$HTTP/hello; ssh -S $CTL -O exit target; cat $LOCAL/log`,
			want: []string{alice + "forward localhost:"},
		},
		"Agent": {
			reason: "an agent is not passed on, and the rest goes on", script: agent + `ssh -A target 'cat /proc/self/environ' | tr '\0' '\n' | grep -c SSH_AUTH_SOCK`,
			want: []string{alice + "agent", "0\n"}, status: 1,
		},
		"X11": {
			reason: "nor windows", script: `ssh -Y target 'cat /proc/self/environ' | tr '\0' '\n' | grep -c DISPLAY`, want: []string{alice + "x11", "0\n"}, status: 1,
		},
		"Environment": {
			reason: "nor a variable", script: `ssh -o SetEnv=LC_SET=x target 'cat /proc/self/environ' | tr '\0' '\n' | grep -c LC_SET`, want: []string{"0\n"}, status: 1,
		},
		"OverMaster": {
			reason: "over a ControlMaster it is each program by itself", want: []string{alice + "shell", "refused 126\n2\n"},
			script: `ssh -fNM -S $CTL target; ssh -T -S $CTL target </dev/null; echo "refused $?"; echo x | ssh -S $CTL target wc -c; ssh -S $CTL -O exit target`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := shared.confined.newPlace(t).shell(t, tc.script)
			shown := got.Stdout + got.Stderr
			for _, want := range tc.want {
				if !strings.Contains(shown, want) {
					t.Errorf("%s: the client does not show %q but:\n%s", tc.reason, want, clip(shown))
				}
			}
			if got.Status != tc.status {
				t.Errorf("%s: status %d, want %d", tc.reason, got.Status, tc.status)
			}
			if len(got.Remote) > 0 {
				t.Errorf("%s: it was done: %s", tc.reason, got.Remote)
			}
		})
	}
}
