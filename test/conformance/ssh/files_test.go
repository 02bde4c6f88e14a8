// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strings"
	"testing"
)

// some makes files to be sent, $LOCAL/tree.
const some = `mkdir -p tree/sub/deep 'tree/with blank'; head -c 100000 $DATA >tree/data; : >tree/empty; echo 1 >'tree/with blank/a b'; echo 2 >tree/sub/deep/'quo"te'; echo 3 >tree/sub/-dash; chmod 751 tree/sub; chmod 640 tree/data
find tree -exec touch -d 2001-02-03T04:05:06Z {} +
`

// TestSCP: scp by both of its protocols.
func TestSCP(t *testing.T) {
	tests := []conformance{
		{
			name: "Files", reason: "to the target and back, large, several, and renamed",
			script: some + `scp OPTION $DATA target:$REMOTE/big; scp OPTION target:$REMOTE/big $LOCAL/back; scp OPTION tree/data tree/empty target:$REMOTE; scp OPTION target:$REMOTE/data target:$REMOTE/empty .; echo $?; ls`, want: "0\nback\n",
		},
		{
			name: "Trees", reason: "whole folders, with modes and times",
			script: some + `scp OPTION -rp tree target:$REMOTE/there; scp OPTION -rp target:$REMOTE/there back; echo $?; find back $REMOTE -type f -printf '%P %Tc\n' | sort`, want: "Sat Feb  3 04:05:06 2001",
		},
		{
			name: "Names", reason: "blanks, quotes and patterns",
			script: some + `scp OPTION "target:$REMOTE/none" . ; echo $?; scp OPTION 'tree/with blank/a b' "target:$REMOTE/c"; cp tree/data $REMOTE/one.txt; cp tree/empty $REMOTE/two.txt; scp OPTION "target:$REMOTE/*.txt" .; ls *.txt`, want: "one.txt\ntwo.txt",
		},
		{
			name: "Errors", reason: "what does not go is said",
			script: some + `scp OPTION tree/data target:$REMOTE/no/such/folder; echo $?; scp OPTION -r tree target:/dev/null/x; echo $?; scp OPTION target:$REMOTE .; echo $?; scp OPTION tree/data tree/empty target:$REMOTE/file; echo $?; scp OPTION none target:$REMOTE; echo $?`, want: "1",
		},
		{
			name: "BetweenTwo", reason: "-3, from the target to another server and back",
			script: `head -c 300000 $DATA >$REMOTE/from; scp OPTION -3 target:$REMOTE/from second:$REMOTE/over; scp OPTION -3 second:$REMOTE/over target:$REMOTE/again; echo $?`, want: "0",
		},
		{
			name: "Limit", reason: "-l holds back", script: `head -c 200000 $DATA >file; scp OPTION -l 8000 file target:$REMOTE; echo $?`, want: "0",
		},
	}
	for _, option := range []struct{ name, option string }{{"Old", "-O"}, {"SFTP", "-s"}} {
		var all []conformance
		for _, tc := range tests {
			tc.name, tc.script = option.name+tc.name, strings.ReplaceAll(tc.script, "OPTION", option.option)
			all = append(all, tc)
		}
		alike(t, all)
	}
}

// TestSFTP: batches of sftp.
func TestSFTP(t *testing.T) {
	// batch runs lines; - before one goes on where it fails.
	batch := func(lines string) string {
		return some + "sed \"s,DATA,$DATA,; s,REMOTE,$REMOTE,\" >batch <<'END'\n" + lines + "\nEND\nsftp -b batch target; echo $?; rm batch"
	}
	alike(t, []conformance{
		{
			name: "Files", reason: "put and get, to names and without",
			script: batch("cd REMOTE\npwd\nlpwd\nput DATA big\nget big back\nput tree/data\nput tree/empty none\nget data\nput -p tree/data timed\nget -p timed\nput -f tree/data synced\nls -1"), want: "none",
		},
		{
			name: "Resume", reason: "reput and reget go on where a file ends",
			script: `head -c 50000 $DATA >$REMOTE/data; head -c 60000 $DATA >data` + "\n" + batch("cd REMOTE\nreput tree/data data\nreget data\nls -1\n-reput tree/empty data"), want: "data",
		},
		{
			name: "Trees", reason: "put -r and get -r",
			script: batch("cd REMOTE\nput -rp tree\nget -rp tree back\nls -1 tree\nls -1 tree/sub"), want: "with blank",
		},
		{
			name: "Manage", reason: "rename, over what is there too, links of both kinds, modes, owners, folders",
			script: `touch -d 2001-02-03T04:05:06Z $REMOTE` + "\n" + batch("cd REMOTE\nput tree/data a\nput tree/empty b\nrename a c\nrename c b\nln b hard\nln -s b soft\nchmod 600 b\nchmod 4755 hard\nchown 0 b\nchgrp 0 b\nmkdir d\nmkdir e\nrmdir e\nrename d f\nls -1\nput tree/empty rm1\nput tree/empty rm2\nrm rm*\ncp b copy\nls -1"), want: "copy",
		},
		{
			name: "Errors", reason: "a failure has the target's words, and ends the batch where nothing says to go on",
			script: batch("cd REMOTE\n-get none\n-put none\n-rename none x\n-rm none\n-rmdir none\n-mkdir REMOTE\n-ln none x\n-chmod 600 none\n-cd none\n-ls none\n-put tree/data no/such\n-symlink b\nput tree/empty last\nget none\nput tree/empty never"), want: "last",
		},
		{
			name: "Listing", reason: "ls long, by time and by size, all, hidden, of a pattern, of a thousand",
			script: `cd $REMOTE; for i in $(seq 1000); do : >f$i; done; touch -d 2001-02-03T04:05:06Z f* ; head -c 5000 $DATA >f2; echo x >.hidden; ln -s f1 link; cd $LOCAL` + "\n" +
				batch("cd REMOTE\nls -l f1*\nls -1 f29*\nls -la .h*\nls -lS f2\nls -ln f1\nls -1rt f1 f2\nls -1") + ` | sed 's/[A-Z][a-z][a-z] [ 0-9]* [0-9:]* .hidden/DATE .hidden/'`, want: "f1000",
		},
		{
			name: "DiskFree", reason: "df, which the target extends SFTP by",
			script: `printf 'df %s\ndf -h %s\ndf -i %s\n' $REMOTE $REMOTE $REMOTE >batch; sftp -b batch target | sed "s,$REMOTE,REMOTE," | tr -s ' ' | sed 's/[0-9.]*[0-9][BKMGT]*B*/N/g'; rm batch`, want: "Avail",
		},
		{
			name: "Direct", reason: "files on the command line, and other sizes of requests",
			script: `sftp -B 8000 -R 3 target:$REMOTE <<<"put $DATA big"; sftp -B 262144 -R 256 target:$REMOTE/big back; sftp target <<<'lpwd
version
!echo local
bye'; ls -l back | cut -d ' ' -f 5`, want: "8400953",
		},
		{
			name: "Server", reason: "-s: a server by its path instead of the subsystem",
			script: `sftp -b - -s "$(ls /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server 2>/dev/null | head -n 1)" target:$REMOTE <<<"put $DATA big" | head -n 1; ls -l $REMOTE/big | cut -d ' ' -f 5`, want: "8400953",
		},
	})
}
