// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// TestTransfer: checklist 7. Only what is certain to be a transfer is one.
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
		{"/usr/lib/openssh/sftp-server -R", nil, "options are not read"},
		{"/tmp/sftp-server", nil, "a program that the caller may have put there"},
		{"~/sftp-server", nil, "the same, below the home directory"},
		{"./internal-sftp", nil, "the same, in the current directory"},
		{"/usr/bin/scp -t /srv", up(command.SCP, "/srv"), "the system's"},
		{"/tmp/scp -t /srv", nil, "a program that the caller may have put there"},
		{"/usr/bin/rsync --server . /srv", up(command.Rsync, "/srv"), "the system's"},
		{"/srv/rsync --server . /srv", nil, "a program that the caller may have put there"},
		{"/srv/git-upload-pack /srv", nil, "the same"},
		{"/srv/git upload-pack /srv", nil, "the same"},
		{"scp -f '~/x'", nil, "which is below a directory named ~"},
		{"rsync --server -slogDtpre.iLsfxCIvu . /srv", nil, "the paths are those that the client sends later"},
		{"rsync --server --sender -vs . /srv", nil, "the same"},
		{"rsync --server -T/etc . /srv", nil, "an option with a value"},
		{"rsync --server - . /srv", nil, "a path before the directory"},
		{"rsync --server -vs -e.x . /srv", nil, "among others"},
		{"rsync --server --log-format --sender . /srv", nil, "an upload: --sender is the format"},
		{"rsync --server --log-format=%i --timeout=5 --delete -ve.x . /srv", up(command.Rsync, "/srv"), "options with values"},
		{"rsync --server -ve . /srv", nil, "the directory is the value of -e"},
		{"rsync --server -ve.iLsfxCIvu --sender . '~/x'", nil, "which is below a directory named ~"},
		{"git-upload-pack '~/x'", down(command.Git, "~/x"), "which git takes for the home directory"},
		{"git-upload-pack '~alice/x'", nil, "the home directory of another"},
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
