// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

func TestTransfer(t *testing.T) {
	up := func(p command.Protocol, paths ...string) *command.Transfer {
		return &command.Transfer{Protocol: p, Upload: true, Paths: paths}
	}
	down := func(p command.Protocol, paths ...string) *command.Transfer {
		return &command.Transfer{Protocol: p, Download: true, Paths: paths}
	}
	both := &command.Transfer{Protocol: command.SFTP, Upload: true, Download: true}
	for _, tc := range []struct {
		line   string
		want   *command.Transfer
		reason string
	}{
		{"scp -t /tmp/x", up(command.SCP, "/tmp/x"), "a file to the target"},
		{"scp -r -p -d -t -- '/tmp/a b'", up(command.SCP, "/tmp/a b"), "a directory with times"},
		{"scp -f /etc/passwd", down(command.SCP, "/etc/passwd"), "a file from the target"},
		{"scp -v -rf /srv /etc", down(command.SCP, "/srv", "/etc"), "several"},
		{"scp -t", nil, "no path"},
		{"scp -t -f x", nil, "both ways at once"},
		{"scp -t x -S rm", nil, "options behind the path"},
		{"scp -f -S rm", nil, "a program"},
		{"scp a b", nil, "a client"},
		{"scp -f *.log", nil, "paths that are not in the line"},
		{"scp -f $X", nil, "a path that is not in the line"},
		{"scp -t x; rm y", nil, "and something else"},
		{"scp -t x > y", nil, "and a file"},
		{"sudo scp -t x", nil, "under another account"},
		{"rsync --server -vlogDtpre.iLsfxCIvu . /backup/", up(command.Rsync, "/backup/"), "to the target"},
		{"rsync --server --sender -vlogDtpre.iLsfxCIvu --numeric-ids . /srv /etc", down(command.Rsync, "/srv", "/etc"), "from the target"},
		{"rsync --server --sender -e.x --rsh=rm . /srv", nil, "a remote shell"},
		{"rsync --server --daemon .", nil, "a daemon"},
		{"rsync --server . -x", nil, "a path like an option"},
		{"rsync --server -logDtpre.iLsfxCIvu --link-dest /etc . /backup", nil, "files of another directory"},
		{"rsync --server --sender --remove-source-files -e.iLsfxCIvu . /srv", nil, "files that go"},
		{"rsync --server --sender --files-from=/x -e.iLsfxCIvu . /srv", nil, "a file that is read"},
		{"rsync -a x y", nil, "a client"},
		{"git-upload-pack '/srv/x.git'", down(command.Git, "/srv/x.git"), "a clone"},
		{"git-upload-pack --strict --timeout=5 '/srv/x.git'", down(command.Git, "/srv/x.git"), "with options"},
		{"git-receive-pack 'x.git'", up(command.Git, "x.git"), "a push"},
		{"git-upload-archive 'x.git'", down(command.Git, "x.git"), "an archive"},
		{"git upload-pack x.git", down(command.Git, "x.git"), "by git itself"},
		{"git-upload-pack --upload-pack=rm", nil, "an option"},
		{"git-upload-pack x y", nil, "two repositories"},
		{"/usr/lib/openssh/sftp-server", both, "a server with its directory"},
		{"/usr/libexec/openssh/sftp-server", both, "another distribution's"},
		{"internal-sftp", both, "the daemon's own"},
		{"/usr/lib/sftp-server -R", nil, "options are not read"},
		{"LANG=C scp -t x", nil, "with a variable"},
		{"uptime", nil, "no transfer"},
	} {
		for _, shell := range everyShell {
			l := command.Read(tc.line, command.Options{Shell: shell})
			if diff := cmp.Diff(tc.want, l.Transfer); diff != "" {
				t.Errorf("%q: %s (-want +got):\n%s", tc.line, tc.reason, diff)
			}
		}
	}
}
