// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/snapshot"
)

// shell is an operation that is allowed.
func (w *world) shell(grant *Grant) *Permit {
	w.t.Helper()
	permit, err := grant.Decide(context.Background(), statement(func(a *Ask) {
		a.Operation = record.Operation{Protocol: "ssh", Kind: "shell", Accesses: a.Operation.Accesses}
	}))
	if err != nil {
		w.t.Fatalf("Decide: %v", err)
	}
	return permit
}

// spooled has the world write to a real log, and returns it with its directory.
func (w *world) spooled(change ...func(*spool.Options)) (*spool.Log, string) {
	w.t.Helper()
	options := spool.Options{Dir: w.t.TempDir()}
	for _, c := range change {
		c(&options)
	}
	log, err := spool.Open(w.t.Context(), options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = log.Close() })
	w.gate.config.Log = log
	return log, options.Dir
}

// part is a part of a recording, empty for its end.
func part(id string, n int64, data string) record.Recording {
	return record.Recording{ID: id, Format: cast.Format, Sequence: n, Digest: cast.Digest([]byte(data)), Data: data}
}

// TestRecording: parts and the end are records of the operation, by the proven caller.
func TestRecording(t *testing.T) {
	w := newWorld(t, allowing)
	w.apply(allowing, func(s *snapshot.Snapshot) { s.Audit.Durability = "Remote" })
	grant := w.authorize()
	permit := w.shell(grant)
	for _, p := range []record.Recording{part("shell-1", 0, "{}\n"), part("shell-1", 1, "[]\n"), part("shell-1", 2, "")} {
		if err := permit.Recording(p); err != nil {
			t.Fatal(err)
		}
	}
	permit.Done(record.Result{Outcome: "Succeeded", Exit: &record.Exit{Status: 3}})
	grant.Close("left")
	var got []string
	for _, e := range w.log.Events() {
		if e.OperationID == 0 || e.Type == record.OperationDecided {
			continue
		}
		got = append(got, string(e.Type))
		if e.OperationID != permit.Operation() || e.Session != grant.Session() || e.Actor.UserName != "alice" || e.ClientAddress == "" || e.Revision != 2 {
			t.Errorf("%s names operation %d of session %q by %v at revision %d", e.Type, e.OperationID, e.Session, e.Actor, e.Revision)
		}
		if e.Recording != nil && e.Durability != record.Remote {
			t.Errorf("%s waits for %q, want what the Connection asks for", e.Type, e.Durability)
		}
	}
	if want := "RecordingChunk RecordingChunk RecordingEnd OperationResult"; strings.Join(got, " ") != want {
		t.Errorf("on record: %q, want %q", got, want)
	}
}

// TestRecordingRefuses: checklist 43: what is not taken ends the session, and says why to
// operators alone.
func TestRecordingRefuses(t *testing.T) {
	first := part("shell-1", 0, "{}\n")
	taken := func(p *Permit) { _ = p.Recording(first) }
	for name, c := range map[string]struct {
		reason string
		before func(*world, *Permit)
		part   record.Recording
	}{
		"LogFails": {"the log takes nothing", func(w *world, _ *Permit) { w.log.Fail(errBoom) }, first},
		"Unsettled": {"no sink said in time that it has it", func(w *world, _ *Permit) {
			w.gate.config.Log = unsettled{w.log}
		}, first},
		"Gap":      {"a part is missing", func(_ *world, p *Permit) { taken(p) }, part("shell-1", 2, "[]\n")},
		"Twice":    {"a part came before", func(_ *world, p *Permit) { taken(p) }, first},
		"EndEarly": {"the end counts other parts", func(_ *world, p *Permit) { taken(p) }, part("shell-1", 2, "")},
		"AfterEnd": {"the recording has ended", func(_ *world, p *Permit) {
			taken(p)
			_ = p.Recording(part("shell-1", 1, ""))
		}, part("shell-1", 1, "[]\n")},
		"AfterDone":     {"the result is on record, which nothing follows", func(_ *world, p *Permit) { p.Done(record.Result{}) }, first},
		"AfterDoneOpen": {"nor a recording that was open", func(_ *world, p *Permit) { taken(p); p.Done(record.Result{}) }, part("shell-1", 1, "[]\n")},
		"AfterClose":    {"the session's end is on record", func(_ *world, p *Permit) { p.grant.Close("left") }, first},
		"OfAnother": {"names are of one recording in the session", func(w *world, p *Permit) {
			_ = w.shell(p.grant).Recording(first)
		}, first},
		"OfAnotherThatIsDone": {"also of one that is complete", func(w *world, p *Permit) {
			other := w.shell(p.grant)
			taken(other)
			other.Done(record.Result{})
		}, first},
		"Unprintable": {"a record cannot hold it as it is", func(*world, *Permit) {}, part("shell-1", 0, "\x1b[2K")},
		"TooMany": {"a session has so many recordings at most", func(_ *world, p *Permit) {
			p.grant.tapes = map[string]*tape{}
			for i := range mostRecordings {
				p.grant.tapes[fmt.Sprint(i)] = nil
			}
		}, first},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			var told error
			w.gate.config.Trouble = func(_ string, cause error) { told = cause }
			grant := w.authorize()
			permit := w.shell(grant)
			c.before(w, permit)
			before := len(w.log.OfType(record.RecordingChunk)) + len(w.log.OfType(record.RecordingEnd))
			err := permit.Recording(c.part)
			if reason(err) != ReasonUnavailable || !errors.Is(err, ErrRecord) || strings.Contains(err.Error(), "boom") {
				t.Errorf("%s: Recording() = %v, want %v and nothing of the cause", c.reason, err, ErrRecord)
			}
			if !errors.Is(told, ErrRecord) || !strings.Contains(told.Error(), `recording "shell-1"`) {
				t.Errorf("%s: operators are told %v", c.reason, told)
			}
			cause := context.Cause(grant.Context())
			if name != "AfterClose" && endReason(cause) != EndRecord {
				t.Errorf("%s: the session ends with %v, want %s", c.reason, cause, EndRecord)
			}
			if after := len(w.log.OfType(record.RecordingChunk)) + len(w.log.OfType(record.RecordingEnd)); after != before && name != "Unsettled" {
				t.Errorf("%s: %d records came of it", c.reason, after-before)
			}
		})
	}
}

// TestRecordingWaits: what a terminal showed is durable before more is shown.
func TestRecordingWaits(t *testing.T) {
	w := newWorld(t, allowing)
	permit := w.shell(w.authorize())
	release := w.log.Hold()
	taken := make(chan error)
	go func() { taken <- permit.Recording(part("shell-1", 0, "{}\n")) }()
	select {
	case <-taken:
		t.Fatal("the next part may come while this one is being written")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
}

// TestRecordingOfAnEndedSession: what was shown before the session was ended is on record,
// and waits for no sink that may not answer.
func TestRecordingOfAnEndedSession(t *testing.T) {
	w := newWorld(t, allowing)
	w.apply(allowing, func(s *snapshot.Snapshot) { s.Audit.Durability = "Remote" })
	grant := w.authorize()
	permit := w.shell(grant)
	grant.End(fmt.Errorf("%w: enough", ErrTerminated))
	for _, p := range []record.Recording{part("shell-1", 0, "{}\n"), part("shell-1", 1, "")} {
		if err := permit.Recording(p); err != nil {
			t.Fatal(err)
		}
	}
	grant.Close("left")
	parts := append(w.log.OfType(record.RecordingChunk), w.log.OfType(record.RecordingEnd)...)
	if len(parts) != 2 || parts[0].Durability != record.Local || parts[1].Durability != record.Local {
		t.Errorf("parts on record: %+v", parts)
	}
	if ends := w.log.OfType(record.SessionEnd); len(ends) != 1 || ends[0].ReasonCode != EndTerminated {
		t.Errorf("ends: %+v", ends)
	}
}

// TestRecordingIsInterrupted: the end of a session does not wait for a sink, and the part
// that did has its place once.
func TestRecordingIsInterrupted(t *testing.T) {
	w := newWorld(t, allowing)
	asked := make(chan struct{})
	_, dir := w.spooled(func(o *spool.Options) {
		o.AwaitRemote = func(ctx context.Context, _ int64) error {
			close(asked)
			<-ctx.Done()
			return context.Cause(ctx)
		}
	})
	grant := w.authorize()
	permit := w.shell(grant)
	w.apply(allowing, func(s *snapshot.Snapshot) { s.Audit.Durability = "Remote" })
	taken := make(chan error)
	go func() { taken <- permit.Recording(part("shell-1", 0, "{}\n")) }()
	<-asked
	grant.End(ErrTerminated)
	if err := <-taken; err != nil {
		t.Error(err)
	}
	if err := permit.Recording(part("shell-1", 1, "")); err != nil {
		t.Error(err)
	}
	grant.Close("left")
	if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrTerminated) {
		t.Errorf("cause = %v", cause)
	}
	if got := w.types(dir, "Recording"); got != "RecordingChunk RecordingEnd" {
		t.Errorf("on record: %s", got)
	}
}

// slow is a log that takes parts of recordings once it is let.
type slow struct {
	*recordtest.Log
	asked, let chan struct{}
}

func (s slow) Append(ctx context.Context, event record.Event) (record.Position, error) {
	if event.Recording != nil {
		close(s.asked)
		<-s.let
	}
	return s.Log.Append(ctx, event)
}

// TestResultFollowsItsRecording: what is on its way comes before the result, and nothing
// after it.
func TestResultFollowsItsRecording(t *testing.T) {
	w := newWorld(t, allowing)
	permit := w.shell(w.authorize())
	log := slow{w.log, make(chan struct{}), make(chan struct{})}
	w.gate.config.Log = log
	taken, done := make(chan error), make(chan struct{})
	go func() { taken <- permit.Recording(part("shell-1", 0, "{}\n")) }()
	<-log.asked
	go func() {
		permit.Done(record.Result{Outcome: "Succeeded"})
		close(done)
	}()
	select {
	case <-done:
		t.Error("the result is on record before the part is")
	case <-time.After(50 * time.Millisecond):
	}
	close(log.let)
	if err := <-taken; err != nil {
		t.Error(err)
	}
	<-done
	if events := w.log.Events(); len(events) < 2 || events[len(events)-2].Type != record.RecordingChunk || events[len(events)-1].Type != record.OperationResult {
		t.Errorf("on record: %+v", events)
	}
}

// types are those of the records of a log that begin with a prefix, in order. It closes the log.
func (w *world) types(dir, prefix string) string {
	w.t.Helper()
	var got []string
	for _, d := range w.documents(dir) {
		if strings.HasPrefix(string(d.Type), prefix) {
			got = append(got, string(d.Type))
		}
	}
	return strings.Join(got, " ")
}

// documents are the records of a log, which is closed first.
func (w *world) documents(dir string) []record.Document {
	w.t.Helper()
	if log, ok := w.gate.config.Log.(*spool.Log); ok {
		if err := log.Close(); err != nil && !errors.Is(err, spool.ErrFull) {
			w.t.Fatal(err)
		}
	}
	var all []record.Document
	for r, err := range spool.Records(dir) {
		if err != nil {
			w.t.Fatal(err)
		}
		d, err := record.Decode(r.JSON)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// TestRecordingOnAFullLog: checklist 44: nothing is dropped. The session ends, and that is
// on record with what had come of the shell.
func TestRecordingOnAFullLog(t *testing.T) {
	w := newWorld(t, allowing)
	_, dir := w.spooled(func(o *spool.Options) { o.MaxBytes, o.SegmentBytes, o.Sinks = 8<<20, 2<<20, []string{"out"} })
	grant := w.authorize()
	permit := w.shell(grant)
	data := strings.Repeat("x", cast.PartBytes)
	taken := int64(0)
	var err error
	for err == nil {
		if err = permit.Recording(part("shell-1", taken, data)); err == nil {
			taken++
		}
	}
	if !errors.Is(err, spool.ErrFull) || endReason(context.Cause(grant.Context())) != EndRecord {
		t.Errorf("Recording() = %v after %d parts; the session ends with %v", err, taken, context.Cause(grant.Context()))
	}
	permit.Done(record.Result{Outcome: "Unknown"})
	grant.Close("left")
	parts := int64(0)
	var last []string
	for _, d := range w.documents(dir) {
		if d.Type == record.RecordingChunk {
			parts++
		}
		if d.Session != "" && d.Type != record.RecordingChunk {
			last = append(last, string(d.Type)+string(d.ReasonCode))
		}
	}
	if parts != taken || strings.Join(last, " ") != "SessionStart OperationDecided OperationResult SessionEndRecordFailed" {
		t.Errorf("%d parts of %d, and %q", parts, taken, last)
	}
}
