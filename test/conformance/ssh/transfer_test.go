// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import "testing"

// TestRsync: rsync both ways.
func TestRsync(t *testing.T) {
	alike(t, []conformance{
		{
			name: "Trees", reason: "to the target and back, with modes, times, links and names; then nothing is left to do",
			script: some + `ln -s data tree/link; ln tree/data tree/hard; rsync -aHi tree/ target:$REMOTE/there; rsync -aHi target:$REMOTE/there/ back; echo again; rsync -aHi tree/ target:$REMOTE/there; rsync -aHin back/ tree; echo $?`, want: "again\n0",
		},
		{
			name: "Changes", reason: "what changed alone is sent, what is gone is deleted, what is left out is not touched",
			script: some + `rsync -a tree target:$REMOTE; echo more >>tree/data; rm tree/empty; echo new >tree/new; echo x >tree/x.o; rsync -ai --delete --exclude='*.o' --checksum tree target:$REMOTE; rsync -ai --inplace --partial --no-whole-file $DATA target:$REMOTE/tree/data; echo $?`, want: "deleting",
		},
		{
			name: "Large", reason: "much, compressed and not, in blocks that differ",
			script: `rsync -z $DATA target:$REMOTE/big; { head -c 1000 $DATA; echo; tail -c +1001 $DATA; } >big; rsync -i --no-whole-file big target:$REMOTE/big; rsync -i --bwlimit=200000 target:$REMOTE/big back; cmp big back; echo $?`, want: "0",
		},
		{
			name: "Errors", reason: "the target's complaints and status", script: `rsync -a target:$REMOTE/none . 2>&1 | sed '/write error/d; s/ at .*//; s/[(]code.*//'; echo ${PIPESTATUS[0]}; rsync --rsync-path=no-such-rsync -a $DATA target:$REMOTE 2>/dev/null || echo failed`, want: "23\nfailed",
		},
	})
}

// repository makes one with two commits, whose names are the same in each run.
const repository = `export GIT_CONFIG_GLOBAL=$LOCAL/../gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE=2001-02-03T04:05:06Z GIT_COMMITTER_DATE=2001-02-03T04:05:06Z
git config --global user.name Alice; git config --global user.email alice@example.com; git config --global init.defaultBranch main; git config --global gc.auto 0; git config --global advice.detachedHead false
git init -q --bare $REMOTE/repository; git -C $REMOTE/repository config uploadpack.allowFilter true; git -C $REMOTE/repository config core.looseCompression 0
git init -q work; cd work; echo one >a; git add a; git commit -qm one; head -c 1000000 $DATA >data; git add data; git commit -qm two; git remote add origin target:$REMOTE/repository
`

// leaving takes out what differs by chance, such as how objects are packed.
const leaving = `
git -C $REMOTE/repository log --all --format='%h %s %d'; git -C $REMOTE/repository fsck 2>&1; cd $LOCAL; rm -rf $REMOTE/repository work clone*`

// TestGit: git over SSH.
func TestGit(t *testing.T) {
	alike(t, []conformance{
		{
			name: "PushAndClone", reason: "push, clone, fetch and pull, of branches and tags",
			script: repository + `git push -q origin main; git tag -m tag v1; git push --tags origin; cd ..; git clone -q target:$REMOTE/repository clone; git -C clone log --format='%h %s'; cmp clone/data work/data
cd work; echo three >>a; git commit -qam three; git push origin main:other; git push origin HEAD; cd ../clone; git pull -q; git fetch -q; git log --all --format='%h %s'; git ls-remote` + leaving, want: "three",
		},
		{
			name: "Refused", reason: "what the other side does not take is said in its words",
			script: repository + `git push -q origin main; git commit -q --amend -m other; git push origin main; echo $?; git push -q --force origin main; echo $?; git push origin :main; echo $?
printf '#!/bin/sh\necho "not on Fridays" >&2\nexit 1\n' >$REMOTE/repository/hooks/pre-receive; chmod +x $REMOTE/repository/hooks/pre-receive; git push origin main:more; echo $?; git ls-remote target:$REMOTE/none; echo $?` + leaving, want: "128",
		},
		{
			name: "Parts", reason: "shallow and partial clones, archives, a URL, version 2 of git's protocol",
			script: repository + `git push -q origin main; cd ..; git clone -q --depth 1 ssh://target$REMOTE/repository clone1; git -C clone1 log --format=%s; git clone -q --filter=blob:none --no-checkout target:$REMOTE/repository clone2; git -C clone2 checkout -q main; ls clone2
git archive --remote=target:$REMOTE/repository main a | tar -tf -; GIT_TRACE_PACKET=1 git -C clone1 ls-remote 2>&1 | grep -o 'ls-remote< version 2'; git -C clone1 fetch -q --unshallow; git -C clone1 log --format=%s` + leaving, want: "version 2\ntwo\none",
		},
	})
}
