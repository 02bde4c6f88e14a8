// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// transferred waits for the record of a file's contents.
func transferred(t *testing.T, path string, direction record.Direction, content string) {
	t.Helper()
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
	onRecord(t, path, func(d *record.Document) bool {
		if d.Type != record.OperationResult {
			return false
		}
		for _, f := range d.Result.Transfers {
			if f.Direction == direction && f.Bytes == int64(len(content)) && f.Digest == digest {
				return true
			}
		}
		return false
	})
}

// recorded is what the records have of a session's terminal, and whether its end is there.
func recorded(t *testing.T, session string) (text string, ended bool) {
	t.Helper()
	all, err := stack.ReadRecords(world.Records())
	stacktest.Must(t, err)
	var written bytes.Buffer
	var assembler *cast.Assembler
	for i := range all {
		d := &all[i]
		if d.Session != session || d.Recording == nil {
			continue
		}
		if assembler == nil {
			assembler = cast.NewAssembler(d.Recording.ID, &written)
		}
		take := assembler.Part
		if d.Type == record.RecordingEnd {
			take = assembler.End
		}
		stacktest.Must(t, take(d.Recording))
	}
	return written.String(), assembler != nil && assembler.Ended()
}

// gap is how long after one text another came, as a recording has it.
func gap(t *testing.T, recording, first, second string) time.Duration {
	t.Helper()
	at := map[string]float64{}
	for line := range strings.Lines(recording) {
		var event []any
		if json.Unmarshal([]byte(line), &event) != nil || len(event) != 3 || event[1] != "o" {
			continue
		}
		for _, text := range []string{first, second} {
			if shown, _ := event[2].(string); strings.Contains(shown, text) {
				at[text], _ = event[0].(float64)
			}
		}
	}
	if len(at) != 2 {
		t.Fatalf("not recorded: %q, %q in %s", first, second, recording)
	}
	return time.Duration((at[second] - at[first]) * float64(time.Second))
}

// auditor is a verb of the plugin by dora. On a terminal, what it shows is played.
func auditor(t *testing.T, terminal bool, args ...string) *exec.Cmd {
	t.Helper()
	config, err := world.User("dora")
	stacktest.Must(t, err)
	kubeconfig, err := world.Control.WriteKubeconfig("person-dora", config)
	stacktest.Must(t, err)
	words := append([]string{filepath.Join(world.Control.Assets, "kubectl"), "doorward"}, args...)
	if terminal {
		// bsdutils of Debian: a terminal of its own for a command.
		words = []string{"script", "-q", "-e", "-c", strings.Join(words, " "), os.DevNull}
	}
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "TERM=xterm")
	command.WaitDelay = 10 * time.Second
	return command
}

// stamped notes when what is written came first to hold each of some texts.
type stamped struct {
	screen
	at map[string]time.Time
}

// Write implements io.Writer.
func (s *stamped) Write(p []byte) (int, error) {
	n, err := s.screen.Write(p)
	all := s.String()
	for text, at := range s.at {
		if at.IsZero() && strings.Contains(all, text) {
			s.at[text] = time.Now()
		}
	}
	return n, err
}

// TestReplay: an auditor sees a shell as it was, in its time or at another speed, and a transcript
// of it where there is no terminal.
func TestReplay(t *testing.T) {
	const first, second = "tick-42", "tock-42"
	shell := by("rex").shell(t)
	shell.types(t, "echo tick-$((40+2)); sleep 2; echo tock-$((40+2))")
	shell.shows(t, second)
	shell.types(t, "exit 5")
	if status := shell.ends(t); status != 5 {
		t.Errorf("status %d", status)
	}
	object := session(t, "rex", v1alpha1.SessionEnded)
	if r := result(t, "rex", "shell").Result; r.Exit == nil || r.Exit.Status == nil || *r.Exit.Status != 5 {
		t.Errorf("on record: %+v", r)
	}
	var text string
	stacktest.Await(t, "the recording", func(context.Context) error {
		var ended bool
		if text, ended = recorded(t, object.Name); !ended {
			return errors.New("its end is not there yet")
		}
		return nil
	})
	took := gap(t, text, first, second)
	args := []string{"replay", object.Name, "-n", object.Namespace, "--manager", recordings}
	for _, speed := range []float64{1, 0.5, 100} {
		out := &stamped{at: map[string]time.Time{first: {}, second: {}}}
		command := auditor(t, true, append(args, "--max-wait", "1h", "--speed", strconv.FormatFloat(speed, 'g', -1, 64))...)
		command.Stdout, command.Stderr = out, out
		if err := command.Run(); err != nil {
			t.Fatalf("%v: %q", err, out.String())
		}
		shown := out.at[second].Sub(out.at[first])
		// The first may be seen late on a busy machine.
		if least := time.Duration(0.5 * float64(took) / speed); out.at[second].IsZero() || shown < least {
			t.Errorf("at speed %g, %s were played in %s, want no less than %s: %q", speed, took, shown, least, out.String())
		}
		t.Logf("at speed %g, %s were played in %s", speed, took.Round(time.Millisecond), shown.Round(time.Millisecond))
	}
	finish(t, auditor(t, false, args...), "").wants(t, 0, "Connection  shop/web", "Who         rex", "a terminal was recorded", "exit 5", "are as the log's key signed them")
}

// TestFollow: an auditor sees what somebody does while he does it, and sees it end.
func TestFollow(t *testing.T) {
	ruth := by("ruth")
	shell := ruth.shell(t)
	object := session(t, "ruth", v1alpha1.SessionActive)
	following := start(t, auditor(t, true, "replay", object.Name, "-n", object.Namespace, "--manager", recordings, "--follow"))
	following.shows(t, "ready-42")
	shell.types(t, "echo live-$((40+2))")
	following.shows(t, "live-42")
	shell.types(t, "exit")
	shell.ends(t)
	if status := following.ends(t); status != 0 {
		t.Errorf("status %d", status)
	}
	following.shows(t, "ends.", "are as the log's key signed them")
}

// TestResults: of a command its record has how it ended and how much went through; the log
// verifies, by itself and by what the witness holds.
func TestResults(t *testing.T) {
	ann := by("ann")
	finish(t, ann.command(t, "ssh", "-T", place, "cat; echo done"), "12345").wants(t, 0, "12345done\n")
	r := result(t, "ann", "cat; echo done").Result
	if r.Outcome != "Succeeded" || r.Exit == nil || r.Exit.Status == nil || *r.Exit.Status != 0 || r.Bytes != 10 {
		t.Errorf("on record: %+v", r)
	}
	if len(r.Transfers) != 2 || r.Transfers[0].Direction != record.ToTarget || r.Transfers[0].Bytes != 5 {
		t.Errorf("on record: %+v", r.Transfers)
	}
	ann.runs(t, "cat "+files+"/none").wants(t, 1, "No such file")
	if r := result(t, "ann", "cat "+files+"/none").Result; r.Outcome != "Failed" || r.ErrorCode != "exit 1" {
		t.Errorf("on record: %+v", r)
	}
	verified(t, world.Records())
	content, err := os.ReadFile(web.Proxy.Log())
	stacktest.Must(t, err)
	for what, text := range map[string]string{"the proxy's log": string(content), "its records": sunk(t)} {
		if strings.Contains(text, web.Canary) {
			t.Errorf("checklist 49: the credential's key is in %s", what)
		}
	}
}

// sunk is all that the sink has.
func sunk(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	stacktest.Must(t, filepath.WalkDir(world.Records(), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	}))
	return all.String()
}

// verified fails the test where the records of a sink are not as they were written.
func verified(t *testing.T, path string) {
	t.Helper()
	// The sink gets records a moment after the witness their checkpoint.
	stacktest.Await(t, "the log verifies", func(ctx context.Context) error {
		_, err := world.Control.Kubectl(ctx, world.Control.Direct, "doorward", "audit", "verify", "--witness", "-n", stack.Namespace, path)
		return err
	})
}

// TestProxyKilled: a proxy that dies in the midst of a shell leaves a log that verifies, and the
// recording up to its last part; nothing passes for its end (checklist 42).
func TestProxyKilled(t *testing.T) {
	proxy := stacktest.StartProxy(t, world, stack.ProxyOptions{Connection: connection})
	roy := by("roy")
	roy.proxy = proxy
	shell := roy.shell(t)
	object := session(t, "roy", v1alpha1.SessionActive)
	shell.types(t, "echo kept-$((40+2))")
	stacktest.Await(t, "a part of the recording", func(context.Context) error {
		if text, _ := recorded(t, object.Name); !strings.Contains(text, "kept-42") {
			return errors.New("not yet: " + text)
		}
		return nil
	})
	shell.types(t, "echo after")
	stacktest.Must(t, proxy.Kill())
	if status := shell.ends(t); status != 255 {
		t.Errorf("the client ended with %d", status)
	}
	stacktest.Must(t, proxy.Start(t.Context()))
	session(t, "roy", v1alpha1.SessionEnded)
	if r := onRecord(t, "what came of the shell", func(d *record.Document) bool {
		return d.Type == record.OperationResult && d.Session == object.Name
	}); r.Result.Outcome != "Unknown" {
		t.Errorf("on record: %+v", r.Result)
	}
	verified(t, world.Records())
	text, ended := recorded(t, object.Name)
	if !strings.Contains(text, "kept-42") || ended {
		t.Errorf("recorded, to its end %t: %s", ended, text)
	}
	out := &screen{}
	command := auditor(t, true, "replay", object.Name, "--records", world.Records(), "--speed", "1000")
	command.Stdout, command.Stderr = out, out
	if err := command.Run(); err != nil || !strings.Contains(out.String(), "kept-42") || !strings.Contains(out.String(), "or was interrupted") {
		t.Errorf("%v: %q", err, out.String())
	}
}

// TestSink: a sink of somebody else's gets the records of SSH, with recordings, as the file has them.
func TestSink(t *testing.T) {
	receiver, err := world.StartReceiver(t.Context(), "ssh-receiver")
	stacktest.Must(t, err)
	t.Cleanup(func() { stacktest.Must(t, receiver.Stop()) })
	stacktest.Must(t, receiver.Install(t.Context()))
	t.Cleanup(func() { stacktest.Must(t, receiver.Remove(context.Background())) })
	stacktest.Await(t, "the sink is in use", func(context.Context) error {
		by("sue").runs(t, "echo to the sink")
		content, err := os.ReadFile(receiver.Records)
		if err == nil && !bytes.Contains(content, []byte("echo to the sink")) {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	shell := by("sid").shell(t)
	object := session(t, "sid", v1alpha1.SessionActive)
	shell.types(t, "exit")
	shell.ends(t)
	want := []record.Type{record.SessionStart, record.OperationDecided, record.RecordingChunk, record.RecordingEnd, record.OperationResult, record.SessionEnd}
	stacktest.Await(t, "the session's records", func(context.Context) error {
		content, err := os.ReadFile(receiver.Records)
		if err != nil {
			return err
		}
		has := map[record.Type]bool{}
		for line := range bytes.Lines(content) {
			if d, err := record.Decode(bytes.TrimSpace(line)); err == nil && d.Session == object.Name {
				has[d.Type] = true
			}
		}
		for _, kind := range want {
			if !has[kind] {
				return fmt.Errorf("no %s: %v", kind, has)
			}
		}
		return nil
	})
	verified(t, receiver.Records)
}
