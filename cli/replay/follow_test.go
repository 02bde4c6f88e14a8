// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/recording"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/record/spool"
)

// display keeps what was written to it, and has it awaited.
type display struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newDisplay() *display { return &display{changed: make(chan struct{})} }

func (d *display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
	return d.text.Write(p)
}

func (d *display) await(ctx context.Context, t *testing.T, want string) string {
	t.Helper()
	for {
		d.mu.Lock()
		text, changed := d.text.String(), d.changed
		d.mu.Unlock()
		if strings.Contains(text, want) {
			return text
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%q is not in %q", want, text)
		}
	}
}

// followedLog is a session that goes on, on a real log, and what follows it.
type followedLog struct {
	*spool.Log
	t     *testing.T
	first int64
	// until is how long one answer goes on, way is what its bytes go through.
	until time.Duration
	way   func([]byte) []byte
	opens int
}

const followedSession = "a1b2c3d4e5f60718"

func newFollowedLog(t *testing.T) *followedLog {
	t.Helper()
	log, err := spool.Open(t.Context(), spool.Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	l := &followedLog{Log: log, t: t, until: time.Hour}
	must(t, l.add(record.Event{Type: record.SessionStart}))
	l.first = l.Durable() - 1
	return l
}

func (l *followedLog) add(e record.Event) error {
	e.Session, e.Connection = followedSession, record.Connection{Namespace: "shop", Name: "bastion"}
	_, err := l.Append(l.t.Context(), e)
	return err
}

// terminal records one, a part to each line.
func (l *followedLog) terminal(id string) *cast.Writer {
	l.t.Helper()
	w, err := cast.NewWriter(cast.Options{ID: id, Width: 100, Height: 30, Start: time.Now(), Emit: func(r record.Recording) error {
		return l.add(record.Event{Type: r.Type(), OperationID: 1, Recording: &r})
	}})
	must(l.t, err)
	return w
}

func (l *followedLog) shows(w *cast.Writer, text string) {
	l.t.Helper()
	must(l.t, errors.Join(w.Output(0, []byte(text)), w.Flush()))
}

func (l *followedLog) ends(w *cast.Writer) {
	l.t.Helper()
	end, err := w.Close()
	must(l.t, err)
	must(l.t, l.add(record.Event{Type: end.Type(), OperationID: 1, Recording: &end}))
}

// open is what the manager answers.
func (l *followedLog) open(ctx context.Context, _ string) (*recording.Recording, error) {
	l.opens++
	read, err := l.Append(ctx, record.Event{Type: record.RecordingRead, Read: &record.Read{Session: followedSession, FirstRecord: l.first, Follow: true}})
	if err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	go func() {
		_ = out.CloseWithError(l.Follow(ctx, writer(func(p []byte) (int, error) {
			if l.way != nil {
				_, err := out.Write(l.way(p))
				return len(p), err
			}
			return out.Write(p)
		}), &extract.Live{
			Session: followedSession, First: l.first, Through: read.Index, Until: time.Now().Add(l.until), Beat: time.Second, Pushed: func() error { return nil },
		}))
	}()
	return &recording.Recording{Reader: in, Session: followedSession, Log: l.ID(), Named: true}, nil
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// follow runs the command until the session ends.
func (l *followedLog) follow(ctx context.Context, onTerminal bool, change ...func(*options)) (*display, chan error) {
	out, flags := newDisplay(), cluster.NewFlags()
	o := &options{
		IOStreams: genericiooptions.IOStreams{Out: out, ErrOut: io.Discard}, cluster: flags, trust: audit.NewTrust(flags.ConfigFlags),
		follow: true, speed: 1, live: l.open, onTerminal: func(any) bool { return onTerminal },
	}
	for _, c := range change {
		c(o)
	}
	ended := make(chan error, 1)
	go func() { ended <- o.run(ctx, []string{followedSession}) }()
	return out, ended
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestFollowsTerminal: what a terminal shows is drawn while it is used, without what a
// terminal would act on; what was closed before is not drawn.
func TestFollowsTerminal(t *testing.T) {
	ctx := within(t)
	l := newFollowedLog(t)
	past := l.terminal("shell-1")
	l.shows(past, "long ago")
	l.ends(past)
	w := l.terminal("shell-2")
	l.shows(w, "first\r\n")
	out, ended := l.follow(ctx, true)
	out.await(ctx, t, "first\r\n")
	l.shows(w, "sec\x1b]52;c;cm0gLXJmIH4=\x07ond\r\n")
	out.await(ctx, t, "second\r\n")
	other := l.terminal("shell-3")
	l.shows(other, "of another")
	l.shows(w, "third")
	l.ends(w)
	out.await(ctx, t, "Terminal shell-3 goes on: give --recording shell-3 to follow it.\n")
	must(t, l.add(record.Event{Type: record.SessionEnd, Reason: "closed by the caller"}))
	must(t, <-ended)
	got := out.await(ctx, t, "session ends: closed by the caller")
	for _, want := range []string{"shop/bastion", "session begins", "Terminal shell-2, 100 x 30, from 0:00:0", "third\x0f\x1b(B\x1b[0m", "Terminal shell-2 ends.\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if strings.Contains(got, "long ago") || strings.Contains(got, "of another") || strings.Contains(got, "]52") {
		t.Errorf("%q", got)
	}
}

// TestFollowsTheOneWanted: of several terminals, the one that was named.
func TestFollowsTheOneWanted(t *testing.T) {
	ctx := within(t)
	l := newFollowedLog(t)
	first, second := l.terminal("shell-1"), l.terminal("shell-2")
	l.shows(first, "first")
	l.shows(second, "second")
	out, ended := l.follow(ctx, true, func(o *options) { o.wanted = "shell-2" })
	out.await(ctx, t, "second")
	must(t, l.add(record.Event{Type: record.SessionEnd}))
	must(t, <-ended)
	if got := out.await(ctx, t, "Terminal shell-2 ends here"); strings.Contains(got, "first") {
		t.Errorf("%q", got)
	}
}

// TestFollowsTranscript: elsewhere it is the transcript, each line once, over as many
// answers as it takes.
func TestFollowsTranscript(t *testing.T) {
	ctx := within(t)
	l := newFollowedLog(t)
	l.until = 10 * time.Millisecond
	out, ended := l.follow(ctx, false)
	out.await(ctx, t, "session begins")
	must(t, l.add(record.Event{
		Type: record.OperationDecided, OperationID: 1, Operation: &record.Operation{Kind: "exec", Statement: "make"}, Decision: &record.Decision{Effect: policy.Allow},
	}))
	out.await(ctx, t, "    | make\n")
	must(t, l.add(record.Event{Type: record.OperationResult, OperationID: 1, Result: &record.Result{Outcome: "Failed", Exit: &record.Exit{Status: 2}}}))
	out.await(ctx, t, "exit status 2")
	must(t, l.add(record.Event{Type: record.SessionEnd}))
	must(t, <-ended)
	got := out.await(ctx, t, "session ends")
	for _, once := range []string{"Session ", "session begins", "| make", "exit status 2"} {
		if n := strings.Count(got, once); n != 1 {
			t.Errorf("%q is there %d times in %q", once, n, got)
		}
	}
	if l.opens < 2 {
		t.Errorf("asked %d times", l.opens)
	}
}

// TestFollowsNothingUnproven: checklist 46: what was changed on the way is not shown, nor
// what is of another log.
func TestFollowsNothingUnproven(t *testing.T) {
	ctx := within(t)
	l := newFollowedLog(t)
	l.way = func(p []byte) []byte { return bytes.ReplaceAll(p, []byte("make"), []byte("fake")) }
	out, ended := l.follow(ctx, false)
	out.await(ctx, t, "session begins")
	must(t, l.add(record.Event{
		Type: record.OperationDecided, OperationID: 1, Operation: &record.Operation{Kind: "exec", Statement: "make"}, Decision: &record.Decision{Effect: policy.Allow},
	}))
	if err := <-ended; !errors.Is(err, audit.ErrTampered) {
		t.Error(err)
	}
	if got := out.await(ctx, t, "session begins"); strings.Contains(got, "fake") {
		t.Errorf("%q", got)
	}
}

// TestFollowRefuses: what cannot be followed is said.
func TestFollowRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(*options)
		args   []string
	}{
		"Records":   {"files do not go on", func(o *options) { o.records = []string{"."} }, []string{"s"}},
		"Files":     {"nor several of them", func(*options) {}, []string{"a", "b"}},
		"From":      {"what was is shown at once", func(o *options) { o.from = time.Minute }, []string{"s"}},
		"Speed":     {"what comes has its own pace", func(o *options) { o.speed = 2 }, []string{"s"}},
		"Unproven":  {"nothing is shown that is not proven", func(o *options) { o.noVerify = true }, []string{"s"}},
		"Empty":     {"no session has that name", func(*options) {}, []string{""}},
		"Recording": {"it chooses what is followed", func(o *options) { o.follow, o.wanted = false, "shell-1" }, []string{"s"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := &options{follow: true, speed: 1}
			c.change(o)
			if err := o.complete(c.args); err == nil {
				t.Errorf("%s: taken", c.reason)
			}
		})
	}
}
