// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// terminal starts a shell with a terminal, whose prompt has come.
func terminal(tb testing.TB, client *ssh.Client) (program *ssh.Session, in io.Writer, out *lockedBuffer) {
	tb.Helper()
	program, err := client.NewSession()
	if err != nil {
		tb.Fatal(err)
	}
	if err := program.RequestPty("xterm", 24, 80, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		tb.Fatal(err)
	}
	in, err = program.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out = &lockedBuffer{}
	program.Stdout = out
	if err := program.Shell(); err != nil {
		tb.Fatal(err)
	}
	await(tb, "prompt", func() bool { return out.String() != "" })
	return program, in, out
}

// TestTerminal: a shell with a terminal is recorded, with its sizes.
func TestTerminal(t *testing.T) {
	b := newBench(t, startDaemon(t))
	program, in, out := terminal(t, b.mustDial(t))
	fmt.Fprint(in, "stty size\n")
	await(t, "size", func() bool { return strings.Contains(out.String(), "24 80") })
	if err := program.WindowChange(50, 132); err != nil {
		t.Fatal(err)
	}
	// Requests and data go ways of their own: the new size may come after what is typed.
	await(t, "the new size", func() bool {
		fmt.Fprint(in, "stty size\n")
		return strings.Contains(out.String(), "50 132")
	})
	fmt.Fprint(in, "exit 3\n")
	var exit *ssh.ExitError
	if err := program.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 3 {
		t.Errorf("exit %v", err)
	}
	if r := b.result(t, "shell"); r.ErrorCode != "exit 3" || r.Bytes == 0 {
		t.Errorf("result %+v", r)
	}
	var text bytes.Buffer
	assembler := cast.NewAssembler("terminal-1", &text)
	for _, p := range b.recordings() {
		doc := &record.RecordingDocument{ID: p.ID, Format: p.Format, Sequence: p.Sequence, Digest: p.Digest, Data: p.Data}
		take := assembler.Part
		if p.Data == "" {
			take = assembler.End
		}
		if err := take(doc); err != nil {
			t.Fatal(err)
		}
	}
	if !assembler.Ended() {
		t.Error("the recording has no end")
	}
	for _, want := range []string{`"width":80`, `"r","132x50"`, "24 80", "50 132"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the recording lacks %q: %s", want, &text)
		}
	}
}

// deaf is a log that takes everything, and recordings only where it has no error for them.
type deaf struct {
	record.Log
	err atomic.Pointer[error]
}

func (d *deaf) set(err error) {
	if err == nil {
		d.err.Store(nil)
		return
	}
	d.err.Store(&err)
}

func (d *deaf) refuses(event record.Event) error {
	if err := d.err.Load(); err != nil && event.Recording != nil {
		return *err
	}
	return nil
}

// Append implements record.Log.
func (d *deaf) Append(ctx context.Context, event record.Event) (record.Position, error) {
	if err := d.refuses(event); err != nil {
		return record.Position{}, err
	}
	return d.Log.Append(ctx, event)
}

// Begin implements record.Log.
func (d *deaf) Begin(ctx context.Context, event record.Event) (record.Pending, error) {
	if err := d.refuses(event); err != nil {
		return nil, err
	}
	return d.Log.Begin(ctx, event)
}

// TestUnrecorded: what cannot be recorded does not start, and does not go on (checklist 43).
func TestUnrecorded(t *testing.T) {
	log := &deaf{Log: recordtest.NewLog()}
	b := newBench(t, startDaemon(t), func(c *protocoltest.Config, _ map[string]any) { c.Log = log })
	log.set(access.ErrRecord)
	_, errs, status := finish(t, b.ssh(t, "-tt", "GATEWAY"), "")
	if status != 255 || !strings.Contains(errs, access.ErrRecord.Error()) {
		t.Errorf("status %d: %q", status, errs)
	}
	if strings.Contains(b.daemon.log(t), "Starting session") {
		t.Error("the target started a shell")
	}
	log.set(nil)
	client := b.mustDial(t)
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stderr := &lockedBuffer{}
	program.Stderr = stderr
	in, _ := program.StdinPipe()
	if err := program.Shell(); err != nil {
		t.Fatal(err)
	}
	log.set(access.ErrRecord)
	fmt.Fprint(in, "echo hello\n")
	_ = program.Wait()
	if !strings.Contains(stderr.String(), access.ErrRecord.Error()) {
		t.Errorf("told %q", stderr)
	}
}

// TestAnswers: what the Connection has recorded of output, and limits on it.
func TestAnswers(t *testing.T) {
	b := newBench(t, startDaemon(t), func(c *protocoltest.Config, _ map[string]any) { c.Audit = snapshot.Audit{Responses: "Masked"} })
	if _, errs, status := finish(t, b.ssh(t, "GATEWAY", "seq 100000"), ""); status != 0 {
		t.Fatal(errs)
	}
	var all bytes.Buffer
	for i := 1; i <= 100000; i++ {
		fmt.Fprintf(&all, "%d\n", i)
	}
	r := b.result(t, "seq 100000")
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256(all.Bytes()))
	if r.Response == nil || r.Response.Digest != sum || !strings.HasPrefix(all.String(), r.Response.Text) || len(r.Response.Text) != record.ResponseLimit {
		t.Errorf("response %+v", r.Response)
	}
	b.Engine.Limit(policy.Limits{Policy: protocoltest.Rule, BytesPerStatement: 70000})
	b.Apply(t)
	out, errs, status := finish(t, b.ssh(t, "GATEWAY", "seq 200000"), "")
	if status == 0 || len(out) > 70000 || !strings.Contains(errs, "BytesPerStatement") {
		t.Errorf("%d bytes, status %d: %q", len(out), status, errs)
	}
	if r := b.result(t, "seq 200000"); r.Outcome != failed {
		t.Errorf("result %+v", r)
	}
}

// TestRekey: keys are exchanged anew in the midst of a transfer.
func TestRekey(t *testing.T) {
	b := newBench(t, startDaemon(t))
	command := b.ssh(t, "-o", "RekeyLimit=1M", "GATEWAY", "head -c 20000000 /dev/zero | sha256sum; cat | sha256sum")
	zeros := bytes.Repeat([]byte{0}, 20000000)
	sum := fmt.Sprintf("%x  -\n", sha256.Sum256(zeros))
	var out bytes.Buffer
	command.Stdin, command.Stdout = bytes.NewReader(zeros), &out
	if err := command.Run(); err != nil || out.String() != sum+sum {
		t.Errorf("%v %q", err, &out)
	}
	client := b.mustDial(t, func(c *ssh.ClientConfig) { c.RekeyThreshold = 1 << 20 })
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stdout, _ := program.StdoutPipe()
	if err := program.Start("head -c 20000000 /dev/zero"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, stdout); n != 20000000 || err != nil {
		t.Errorf("%d bytes: %v", n, err)
	}
}

// TestEndedInTheMidst: a session that ends while bytes flow tells the client, and the program at
// the target ends.
func TestEndedInTheMidst(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stdout, _ := program.StdoutPipe()
	stderr := &lockedBuffer{}
	program.Stderr = stderr
	if err := program.Start("cat /dev/zero"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	session := b.Log.OfType(record.SessionStart)[0].Session
	if !b.Gate.Terminate(session, "enough") {
		t.Fatal("there is no session")
	}
	_ = program.Wait()
	if !strings.Contains(stderr.String(), "enough") {
		t.Errorf("told %q", stderr)
	}
	b.Log.Await(deadline(t), t, "end", func(e record.Event) bool { return e.Type == record.SessionEnd && strings.Contains(e.Reason, "enough") })
	await(t, "the end at the target", func() bool {
		return strings.Contains(b.daemon.log(t), "Close session") || strings.Contains(b.daemon.log(t), "Connection closed")
	})
}

// TestErrorsOneByOne: what Doorward says on a program's standard error, and what the program says
// there meanwhile, come whole. A forward that waits is told of on a program's channel.
func TestErrorsOneByOne(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.Set(protocoltest.HoldAction(actionForward))
	b.Apply(t)
	client := b.mustDial(t)
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &lockedBuffer{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buffer := make([]byte, 1<<15)
		for {
			n, err := stderr.Read(buffer)
			_, _ = said.Write(bytes.ReplaceAll(buffer[:n], []byte{0}, nil))
			if err != nil {
				return
			}
		}
	}()
	if err := program.Start("cat /dev/zero >&2"); err != nil {
		t.Fatal(err)
	}
	const forwards = 30
	for range forwards {
		refused := make(chan struct{})
		go func() {
			defer close(refused)
			if conn, err := client.Dial("tcp", "127.0.0.1:1"); err == nil {
				_ = conn.Close()
			}
		}()
		(<-b.Approvals.Asked).Deny("no")
		<-refused
	}
	await(t, "what Doorward says", func() bool {
		return strings.Count(said.String(), "An approver runs: kubectl") >= forwards
	})
	_ = client.Close()
	<-read
	for line := range strings.SplitSeq(strings.TrimSpace(said.String()), "\r\n") {
		if !strings.HasPrefix(line, "Doorward: forward 127.0.0.1:1 waits for approval") && !strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "Doorward: the client left") {
			t.Errorf("torn: %q", line)
		}
	}
}
