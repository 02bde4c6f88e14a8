// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The types of channels (RFC 4254; OpenSSH, PROTOCOL).
const (
	channelSession         = "session"
	channelDirect          = "direct-tcpip"
	channelDirectSocket    = "direct-streamlocal@openssh.com"
	channelForwarded       = "forwarded-tcpip"
	channelForwardedSocket = "forwarded-streamlocal@openssh.com"
	channelAgent           = "auth-agent@openssh.com"
	channelX11             = "x11"
)

// The types of requests.
const (
	requestShell     = "shell"
	requestExec      = "exec"
	requestSubsystem = "subsystem"
	requestTerminal  = "pty-req"
	requestEnv       = "env"
	requestResize    = "window-change"
	requestSignal    = "signal"
	requestBreak     = "break"
	requestAgent     = "auth-agent-req@openssh.com"
	requestX11       = "x11-req"
	requestNoOutput  = "eow@openssh.com"
	requestXonXoff   = "xon-xoff"
	requestStatus    = "exit-status"
	requestKilled    = "exit-signal"

	// PuTTY asks with the one how far the other side has come, for which any answer will do,
	// and says with the other that there will be one channel only.
	requestWinAdjust = "winadj@putty.projects.tartarus.org"
	requestSimple    = "simple@putty.projects.tartarus.org"

	requestListen         = "tcpip-forward"
	requestUnlisten       = "cancel-tcpip-forward"
	requestListenSocket   = "streamlocal-forward@openssh.com"
	requestUnlistenSocket = "cancel-streamlocal-forward@openssh.com"
	requestNoMoreSessions = "no-more-sessions@openssh.com"
)

// The payloads, by the sections of RFC 4254 that define them.
type (
	terminalMessage struct { // 6.2
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	resizeMessage struct{ Columns, Rows, Width, Height uint32 } // 6.7
	envMessage    struct{ Name, Value string }                  // 6.4
	textMessage   struct{ Text string }                         // 6.5, 6.9
	breakMessage  struct{ Milliseconds uint32 }                 // RFC 4335
	statusMessage struct{ Status uint32 }                       // 6.10
	killedMessage struct {                                      // 6.10
		Signal   string
		Dumped   bool
		Message  string
		Language string
	}
	x11Message struct { // 6.3.1
		Single   bool
		Protocol string
		Cookie   string
		Screen   uint32
	}
	placeMessage struct { // 7.1
		Host string
		Port uint32
	}
	directMessage struct { // 7.2, direct-tcpip and forwarded-tcpip
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	socketMessage       struct{ Path string } // PROTOCOL section 2.4, also of requests to listen
	directSocketMessage struct {
		Path     string
		Reserved string
		Number   uint32
	}
	forwardedSocketMessage struct{ Path, Reserved string }
	originMessage          struct { // 6.3.2
		Host string
		Port uint32
	}
)

// emptyMessage has no payload.
type emptyMessage struct{}

var errMessage = errors.New("malformed message")

// read decodes a payload whole.
func read[T any](payload []byte) (T, error) {
	var m T
	if _, empty := any(m).(emptyMessage); empty && len(payload) == 0 {
		return m, nil // which the library does not take
	}
	if err := ssh.Unmarshal(payload, &m); err != nil {
		return m, errMessage
	}
	return m, nil
}

// place is a host and a port as policies name them.
func place(host string, port uint32) (string, error) {
	if port > 65535 || !isName(host) {
		return "", errMessage
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(uint64(port), 10)), nil
}

// isName says whether a text can be the name or the address of a host: what it is not would
// show as something else.
func isName(host string) bool {
	return host != "" && len(host) <= 255 && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("-._:%", r)
	})
}

// isOrigin says whether a text can say where a connection came from: the other side may log or
// show it. Some do not say.
func isOrigin(host string) bool { return host == "" || isName(host) }

// isWord says whether a text can be the name of a signal, of a kind of terminal, or of an X11
// authorization: a name, and neither a path nor a text for a shell.
func isWord(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("-._+@", r)
	})
}

// isSocket says whether a text is the absolute path of a socket, as it is and not by way of others.
func isSocket(path string) bool {
	if len(path) > 108 || !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}
