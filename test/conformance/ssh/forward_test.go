// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import "testing"

// TestForwards: connections through the target and from it.
func TestForwards(t *testing.T) {
	const leave = "\nssh -S $CTL -O exit target"
	alike(t, []conformance{
		{
			name: "Local", reason: "-L, to a port and to a socket of the client's, many connections at once, much both ways",
			script: `ssh -fNM -S $CTL -o ExitOnForwardFailure=yes -L 127.0.0.1:$PORT:127.0.0.1:$HTTP -L $LOCAL/socket:localhost:$HTTP target
curl -sS http://127.0.0.1:$PORT/hello; curl -sS --unix-socket $LOCAL/socket http://x/data | sha256sum; curl -sS --data-binary @$DATA http://127.0.0.1:$PORT/digest
for i in $(seq 30); do curl -sS http://127.0.0.1:$PORT/hello & done | sort | uniq -c` + leave, want: "hello",
		},
		{
			name: "LocalRefused", reason: "where nobody listens the client is told so, and goes on",
			script: `ssh -fNM -S $CTL -L 127.0.0.1:$PORT:127.0.0.1:1 target; curl -s http://127.0.0.1:$PORT/ || echo refused; ssh -S $CTL target 'echo on'; ssh -W 127.0.0.1:1 target; echo $?; ssh -W no.such.host.invalid:1 target; echo $?` + leave, want: "on\n255",
		},
		{
			name: "Remote", reason: "-R, where the target listens for the client, at a port of its choice, and no more when told",
			script: `ssh -fNM -S $CTL target; port=$(ssh -S $CTL -O forward -R 127.0.0.1:0:127.0.0.1:$HTTP target)
ssh -S $CTL target "curl -sS http://127.0.0.1:$port/hello; curl -sS http://127.0.0.1:$port/data | sha256sum; curl -sS --data-binary @$DATA http://127.0.0.1:$port/digest; for i in 1 2 3 4 5 6; do curl -sS http://127.0.0.1:$port/hello & done; wait"
ssh -S $CTL -O cancel -R 127.0.0.1:0:127.0.0.1:$HTTP target 2>&1 | sed "s/$port/PORT/"; while ssh -S $CTL target "curl -s -o /dev/null http://127.0.0.1:$port/hello"; do sleep 0.1; done` + leave, want: "hello",
		},
		{
			name: "RemotePort", reason: "-R at a port that is named, once, cancelled, and again",
			script: `forward=127.0.0.1:$PORT:127.0.0.1:$HTTP; ssh -fNM -S $CTL -o ExitOnForwardFailure=yes -R $forward target; ssh -S $CTL target "curl -sS http://127.0.0.1:$PORT/hello"
ssh -o ExitOnForwardFailure=yes -R $forward target true 2>&1 | sed "s/$PORT/N/"; echo ${PIPESTATUS[0]}; ssh -S $CTL -O cancel -R $forward target; while ssh -S $CTL target "curl -s -o /dev/null http://127.0.0.1:$PORT/hello"; do sleep 0.1; done
ssh -S $CTL -O forward -R $forward target; ssh -S $CTL target "curl -sS http://127.0.0.1:$PORT/hello"` + leave, want: "255\nhello",
		},
		{
			name: "RemoteAtOnce", reason: "a command that is asked for right behind listeners finds them",
			script: `ssh -R $REMOTE/first:127.0.0.1:$HTTP -R $REMOTE/second:127.0.0.1:$HTTP -R 127.0.0.1:$PORT:127.0.0.1:$HTTP target "curl -sS http://127.0.0.1:$PORT/hello; curl -sS --unix-socket $REMOTE/second http://x/hello; rm $REMOTE/first $REMOTE/second"`, want: "hello\nhello",
		},
		{
			name: "RemoteRefused", reason: "a client that does not get there says so to who came",
			script: `ssh -fNM -S $CTL -R 127.0.0.1:$PORT:127.0.0.1:1 target; ssh -S $CTL target "curl -s http://127.0.0.1:$PORT/; echo \$?" | sed s/52/56/` + leave, want: "56", // an end without an answer may be either
		},
		{
			name: "Dynamic", reason: "-D, by names and addresses, by both versions of SOCKS",
			script: `ssh -fNM -S $CTL -D 127.0.0.1:$PORT target; for p in socks5h socks5 socks4 socks4a; do curl -sS -4 -x $p://127.0.0.1:$PORT http://localhost:$HTTP/hello; done; curl -sS -x socks5h://127.0.0.1:$PORT http://localhost:$HTTP/data | sha256sum
curl -s -x socks5h://127.0.0.1:$PORT http://no.such.host.invalid/; echo $?` + leave, want: "hello\nhello\nhello\nhello",
		},
		{
			name: "RemoteDynamic", reason: "-R without a destination: the client is the target's way out",
			script: `ssh -fNM -S $CTL -R 127.0.0.1:$PORT target; ssh -S $CTL target "curl -sS -x socks5h://127.0.0.1:$PORT http://localhost:$HTTP/hello"` + leave, want: "hello",
		},
		{
			name: "Standard", reason: "-W carries both ways, and the end of one alone",
			script: `cat $DATA $DATA | ssh -W 127.0.0.1:$DIGEST target; printf 'GET /hello HTTP/1.0\r\n\r\n' | ssh -W localhost:$HTTP target | tail -n 1; ssh -W 127.0.0.1:$SECOND target </dev/null | head -c 8`, want: "hello\nSSH-2.0-",
		},
		{
			name: "Jump", reason: "-J through the target to another, with all that goes through that; and by ProxyCommand, and twice",
			script: `cat $DATA | ssh -J target second 'sha256sum; exit 3'; echo $?; scp -q -J target $DATA second:$REMOTE/jumped; ssh -o ProxyCommand='ssh -W %h:%p target' second 'echo by command'; ssh -J target,second target 'echo twice'`, want: "by command\ntwice",
		},
		{
			name: "Sockets", reason: "sockets at the target, both ways",
			script: `ssh -fNM -S $CTL -o ExitOnForwardFailure=yes -R $REMOTE/listens:127.0.0.1:$HTTP -L $LOCAL/leads:$REMOTE/listens target; ls -l $REMOTE/listens | cut -c 1-10
ssh -S $CTL target "curl -sS --unix-socket $REMOTE/listens http://x/hello; curl -sS --unix-socket $REMOTE/listens http://x/data | sha256sum"
curl -sS --unix-socket $LOCAL/leads --data-binary @$DATA http://x/digest; ssh -R $REMOTE/listens:127.0.0.1:$HTTP target true
ssh -S $CTL -O cancel -R $REMOTE/listens:127.0.0.1:$HTTP target; while ssh -S $CTL target "curl -s -o /dev/null --unix-socket $REMOTE/listens http://x/hello"; do sleep 0.1; done` + leave, want: "hello",
		},
		{
			name: "Added", reason: "forwards that are added to a connection, and taken away",
			script: `ssh -fNM -S $CTL target; ssh -S $CTL -O forward -L 127.0.0.1:$PORT:127.0.0.1:$HTTP target; curl -sS http://127.0.0.1:$PORT/hello; ssh -S $CTL -O cancel -L 127.0.0.1:$PORT:127.0.0.1:$HTTP target; curl -s http://127.0.0.1:$PORT/hello; echo $?` + leave, want: "hello\n7",
		},
		{
			name: "Agent", reason: "-A shows the client's keys to the target, which can log in with them elsewhere, and change them",
			script: agent + `printf 'Host second\nHostName 127.0.0.1\nPort %s\nUser %s\nUserKnownHostsFile %s\n' $SECOND $ACCOUNT $KNOWN_HOSTS >$REMOTE/config
ssh -A target "ssh-add -l | sed 's/SHA256:[^ ]*/KEY/'; ssh -F $REMOTE/config second 'echo through the agent'; ssh-add -D; ssh-add -l"; echo $?; ssh-add -l`, want: "through the agent",
		},
		{
			name: "NoAgent", reason: "who passes no agent on has none at the target", script: agent + `ssh target 'ssh-add -l' 2>&1; echo $?`, want: "Could not open a connection to your authentication agent.\n2",
		},
		{
			name: "AgentOfMany", reason: "each program of a connection that asks for it has the agent",
			script: agent + `ssh -AfNM -S $CTL target; for i in 1 2 3; do ssh -A -S $CTL target 'ssh-add -l | wc -l' & done; wait $(jobs -p); ssh -A -S $CTL target 'ssh-add -l | wc -l'` + leave, want: "1\n1\n1\n1",
		},
		{
			name: "X11", reason: "-Y: a program reaches the client's display, with a cookie of its own in the place of the client's",
			script: `xauth -q add $DISPLAY . $COOKIE 2>/dev/null; cat >$REMOTE/client <<'END'
shown=${DISPLAY#*:}; cookie=$(xauth list "$DISPLAY" | sed 's/.* //'); echo "$DISPLAY" | sed 's/[0-9][0-9]*/N/g'
[ "$cookie" != "$1" ] && echo "another cookie here"
exec 3<>/dev/tcp/127.0.0.1/$((6000 + ${shown%.*}))
printf 'l\000\013\000\000\000\022\000\020\000\000\000MIT-MAGIC-COOKIE-1\000\000' >&3; printf "$(echo $cookie | sed 's/../\\x&/g')" >&3
cat <&3 | tail -c +9; echo
END
ssh target 'touch ~/.Xauthority'; ssh -Y target bash $REMOTE/client $COOKIE; ssh target 'echo "${DISPLAY:-none}"'; rm -f $LOCAL/x`, want: "another cookie here\nthe right cookie\nnone",
		},
	})
}

// agent starts one with a key, for the time of a script.
const agent = `eval "$(ssh-agent -s -a $CTL-agent)" >/dev/null; trap 'ssh-agent -k >/dev/null' EXIT; ssh-add -q $KEY
`
