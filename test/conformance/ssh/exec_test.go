// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import "testing"

// TestExec: commands, with what goes in, what comes out, and how they end.
func TestExec(t *testing.T) {
	alike(t, []conformance{
		{
			name: "Streams", reason: "both streams are their own, also without a line's end, empty and binary",
			script: `ssh target 'echo out; echo err >&2; printf "\000\377\r\n\033[31m"; printf tail >&2' | od -c; ssh target true | wc -c`, want: "o   u   t",
		},
		{
			name: "Words", reason: "the line reaches the shell as it was written",
			script: `ssh target 'printf "<%s>\n" "a  b" '"'c\"d'"' $((1+1)) "$HOME/x" * | tail -n 3 | head -n 2'; ssh target printf '%s,' a "b c" ; ssh target 'printf "ä€%s" 😀' | od -tx1; ssh target "$(printf 'echo one\necho two # c\n')"`,
			want:   "one\ntwo\n",
		},
		{
			name: "LongLine", reason: "a line of 100 kB",
			script: `ssh target "printf %s $(head -c 100000 /dev/zero | tr '\0' x)" | wc -c`, want: "100000",
		},
		{
			name: "In", reason: "many windows go in, and all of it comes",
			script: `for i in 1 2 3 4; do cat $DATA; done | ssh target 'sha256sum; echo end'`, want: "end",
		},
		{
			name: "Out", reason: "many windows come out, of both streams at once",
			script: `ssh target "cat $DATA $DATA; echo end >&2" | sha256sum; ssh target "cat $DATA & cat $DATA >&2; wait" 2>$LOCAL/err | sha256sum`, want: "-",
		},
		{
			name: "BothWays", reason: "what goes in comes out, at the same time",
			script: `for i in 1 2; do cat $DATA; done | ssh target cat | sha256sum; seq 200000 | ssh target 'tee /dev/stderr' 2>&1 >/dev/null | tail -n 1`, want: "200000",
		},
		{
			name: "HalfClose", reason: "either direction ends by itself",
			script: `printf in | ssh target 'cat; echo after'
cat $DATA | ssh target "exec >&- 2>&-; cat >$REMOTE/late"
ssh target 'cat; echo empty' </dev/null; ssh -n target 'cat; echo none'
ssh target "exec <&-; sleep 0.2; echo deaf" <$DATA; echo $?
cat $DATA | ssh target 'head -c 5 | od -c'; echo ${PIPESTATUS[@]}`, want: "deaf",
		},
		{
			name: "Reader", reason: "who reads no more loses nothing but that",
			script: `ssh target "cat $DATA; exit 3" | head -c 100 | wc -c; echo ${PIPESTATUS[0]}`, want: "100\n3",
		},
		{
			name: "NoReader", reason: "a program whose output nobody reads any more is told so, and does not run on",
			script: `ssh target yes | head -n 1; echo ${PIPESTATUS[@]}; ssh target "yes; echo \$? >$REMOTE/out" | head -n 1; echo ${PIPESTATUS[@]}; until [ -s $REMOTE/out ]; do sleep 0.1; done
ssh -fNM -S $CTL target; ssh -S $CTL target yes | head -n 1; ssh -S $CTL target 'echo on'; ssh -S $CTL -O exit target`, want: "y\n",
		},
		{
			name: "NoInput", reason: "a client whose program reads no more is told so",
			script: `ssh -vvv target 'exec <&- >&-; sleep 1' </dev/zero 2>$LOCAL/log; echo $?; grep -c 'rtype eow@openssh.com' $LOCAL/log; rm $LOCAL/log`, want: "0\n1",
		},
		{
			name: "Dialogue", reason: "answers come as they are given, nothing waits for more",
			script: `coproc ssh target 'while read -r line; do echo "got $line"; done; echo over'
for i in 1 2 3; do echo $i >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"; done
eval "exec ${COPROC[1]}>&-"; cat <&"${COPROC[0]}"; wait`, want: "got 3\nover",
		},
		{
			name: "Statuses", reason: "a status is the program's",
			script: `for i in 0 1 2 77 126 127 128 254 255; do ssh target "exit $i"; echo $?; done; ssh target no-such-program; echo $?; ssh target /etc/passwd; echo $?; ssh target 'false | true'; echo $?; ssh target 'if'; echo $?`,
			want:   "126",
		},
		{
			name: "Signals", reason: "who was killed has no status; the client says so with 255",
			script: `for s in TERM KILL INT SEGV HUP; do ssh target 'kill -'$s' $$; sleep 60'; echo $?; done; ssh target 'sh -c "kill -TERM \$\$"; echo $?'`, want: "143",
		},
		{
			name: "Gone", reason: "a program with a terminal is told when its client is gone",
			script: `ssh -tt target "trap 'echo hangup >$REMOTE/told; exit' HUP; echo \$\$ >$REMOTE/ready; while :; do sleep 0.1; done" </dev/null >/dev/null 2>&1 & client=$!
until [ -s $REMOTE/ready ]; do sleep 0.1; done
kill -9 $client; wait $client 2>/dev/null
until [ -s $REMOTE/told ]; do sleep 0.1; done; rm $REMOTE/ready; cat $REMOTE/told`, want: "hangup",
		},
		{
			name: "LeftBehind", reason: "what is left running with its output closed keeps nobody",
			script: `ssh target "nohup sleep 600 >/dev/null 2>&1 </dev/null & echo \$! >$REMOTE/pid; echo started"; ssh target "kill \$(cat $REMOTE/pid)"; echo $?; rm $REMOTE/pid`, want: "started\n0",
		},
		{
			name: "Environment", reason: "what sshd takes is set",
			script: `export LC_SENT=sent; ssh -o SendEnv=LC_SENT -o 'SetEnv=LC_SET="a b" NOT_TAKEN=x' target 'env | grep -E "^(LC_SE|NOT_TAKEN)" | sort; echo end'; ssh -o SendEnv='LC_*' target 'env | grep -c ^LC_'`, want: "LC_SENT=sent\nLC_SET=a b\nend",
		},
		{
			name: "Shell", reason: "a shell without a terminal reads a script",
			script: `printf 'cd /\npwd\necho $0\nexit 9\necho not\n' | ssh -T target; echo $?; printf 'echo in; cat\nread by cat\n' | ssh target sh; echo $?`, want: "/\n",
		},
		{
			name: "Terminal", reason: "a command with a terminal has its modes, its name and its ends of lines",
			script: `TERM=vt220 ssh -tt target 'stty -a; echo $TERM; tty | cut -c 1-9; ls /nowhere' </dev/null | od -c; echo ${PIPESTATUS[0]}`, want: "v   t   2   2   0",
		},
		{
			name: "Subsystem", reason: "an unknown one is refused",
			script: `ssh -s target no-such-subsystem; echo $?; ssh -fNM -S $CTL target; ssh -s -S $CTL target no-such-subsystem; echo $?; ssh -S $CTL target 'echo on'; ssh -S $CTL -O exit target; sftp -s no-such-subsystem target; echo $?`, want: "255\non",
		},
	})
}

// TestConnection: what a client does with a whole connection.
func TestConnection(t *testing.T) {
	alike(t, []conformance{
		{
			name: "Rekey", reason: "keys are exchanged anew, many times, in the middle of what is sent",
			script: `for i in 1 2 3 4; do cat $DATA; done | ssh -v -o RekeyLimit=1M target cat 2>$LOCAL/log | sha256sum
[ $(grep -c 'SSH2_MSG_NEWKEYS received' $LOCAL/log) -gt 30 ] && echo often; rm $LOCAL/log
ssh -o RekeyLimit='default 1s' target 'for i in 1 2 3; do echo $i; sleep 1; done'`, want: "often\n1\n2\n3",
		},
		{
			name: "KeepAlive", reason: "a client that asks for signs of life has them, while nothing is said",
			script: `ssh -vvv -o ServerAliveInterval=1 -o ServerAliveCountMax=60 target 'sleep 4; echo alive' 2>$LOCAL/log
[ $(grep -c 'receive packet: type 82' $LOCAL/log) -ge 2 ] && echo answered; rm $LOCAL/log`, want: "alive\nanswered",
		},
		{
			name: "Compression", reason: "where a side has none, nothing is compressed",
			script: `ssh -C target "cat $DATA" | sha256sum`, want: "-",
		},
		{
			name: "ControlMaster", reason: "many programs at once over one connection, each with its own streams and status",
			script: `ssh -fNM -S $CTL target; ssh -S $CTL -O check target 2>&1 | sed 's/pid=[0-9]*/pid/'
for i in $(seq 40); do { echo in $i | ssh -S $CTL target "cat; echo err $i >&2; exit $i"; echo "status $?"; } >$LOCAL/out$i 2>$LOCAL/err$i & done; wait $(jobs -p)
cat $(seq -f $LOCAL/out%g 40); ssh -S $CTL -O exit target`, want: "in 40\nstatus 40",
		},
		{
			name: "Unread", reason: "a program whose output nobody reads keeps no other one waiting",
			script: `ssh -fNM -S $CTL target; mkfifo $LOCAL/pipe; ssh -n -S $CTL target "cat $DATA $DATA" >$LOCAL/pipe & exec 3<$LOCAL/pipe
head -c 1 <&3 >/dev/null; ssh -n -S $CTL target "cat $DATA" | sha256sum; cat <&3 | sha256sum; wait; rm $LOCAL/pipe; ssh -S $CTL -O exit target`, want: "-",
		},
		{
			name: "ControlPersist", reason: "a master stays for the next, stops taking more, and goes",
			script: `ssh -o ControlMaster=auto -o ControlPath=$CTL -o ControlPersist=600 target 'echo first'; ssh -S $CTL -o ControlMaster=no target 'echo second'; ssh -O proxy -S $CTL target 'echo third'; ssh -S $CTL -O stop target; ssh -S $CTL -o ControlMaster=no target 'echo fourth'`,
			want:   "first\nsecond\nthird\nfourth",
		},
		{
			name: "Ciphers", reason: "each that both know works",
			script: `for c in chacha20-poly1305@openssh.com,aes128-gcm@openssh.com aes256-gcm@openssh.com aes128-ctr; do ssh -c $c target "echo $c; cat $DATA" | sha256sum; done; for k in curve25519-sha256 diffie-hellman-group16-sha512; do ssh -o KexAlgorithms=$k target echo $k; done; ssh -m hmac-sha2-512-etm@openssh.com -c aes256-ctr target echo mac`,
			want:   "mac",
		},
	})
}
