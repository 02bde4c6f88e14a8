// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// TestFilesOnTerminal: checklist 7. A terminal at the target edits what it carries, by modes that
// the client chooses. Here it forgets the head of a WRITE to a file that may be written, so that its
// content would be a request of its own, which nobody decided.
func TestFilesOnTerminal(t *testing.T) {
	b := newBench(t, startDaemon(t), func(_ *protocoltest.Config, o map[string]any) { o["sftpPaths"] = pathsAsWritten })
	dir, err := os.MkdirTemp("", "tty") //nolint:usetesting // a path without the characters below
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	kept := write(t, filepath.Join(dir, "kept"), []byte("content"), 0o600)
	b.allow(t, "subsystem sftp", "realpath *", "write "+filepath.Join(dir, "allowed"))
	program, err := b.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	// A line ends with 3 or ".", as the proxy's own first packets do, and "K" forgets it.
	const ends, forgets, none = 3, 'K', 255
	if err := program.RequestPty("xterm", 24, 80, ssh.TerminalModes{
		ssh.ECHO: 0, ssh.ICANON: 1, ssh.ISIG: 0, ssh.ICRNL: 0, ssh.IXON: 0, ssh.OPOST: 0, ssh.VKILL: forgets, ssh.VEOL: ends, ssh.VEOL2: '.',
		ssh.VERASE: none, ssh.VEOF: none, ssh.VLNEXT: none, ssh.VWERASE: none, ssh.VREPRINT: none, ssh.VINTR: none, ssh.VQUIT: none, ssh.VSUSP: none,
	}); err != nil {
		t.Fatal(err)
	}
	in, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = program.RequestSubsystem(subsystemSFTP)
	// Nobody waits for an answer that never comes.
	defer context.AfterFunc(deadline(t), func() { _ = program.Close() })()
	number := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	text := func(s string) string { return number(uint32(len(s))) + s }
	remove := text("\x0d" + number(7) + text(kept))
	for _, packet := range []string{
		text("\x01" + number(3)), // INIT
		text("\x03" + number(5) + text(filepath.Join(dir, "allowed")) + number(0x0a) + number(8) + number(ends) + number(ends)), // OPEN
		text("\x06" + number(7) + text(number(0)) + number(0) + number(0) + text(string(forgets)+remove+string(rune(ends)))),    // WRITE
	} {
		if _, err := io.WriteString(in, packet); err != nil {
			break
		}
		answer := make([]byte, 4)
		if _, err := io.ReadFull(out, answer); err != nil {
			break
		}
		if _, err := io.CopyN(io.Discard, out, int64(binary.BigEndian.Uint32(answer))); err != nil {
			break
		}
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what may not be removed: %v", err)
	}
	decided := b.Log.Await(deadline(t), t, "decision", func(e record.Event) bool {
		return e.Type == record.OperationDecided && e.Operation.Kind == requestSubsystem
	})
	if decided.Decision.Effect != policy.Deny || !strings.Contains(decided.Decision.Message, "terminal") {
		t.Errorf("decided %+v", decided.Decision)
	}
}
