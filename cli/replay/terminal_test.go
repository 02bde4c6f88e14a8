// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/proxy/record/spool"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// session writes a log with a session that had a terminal, and returns its directory.
func session(t *testing.T) string {
	t.Helper()
	dir, now := filepath.Join(t.TempDir(), "records"), time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	log, err := spool.Open(t.Context(), spool.Options{Dir: dir, Now: func() time.Time { return now }})
	must(t, err)
	add := func(e record.Event) error {
		e.Session, e.Connection = "a1b2c3d4e5f60718", record.Connection{Namespace: "shop", Name: "bastion"}
		_, err := log.Append(t.Context(), e)
		return err
	}
	must(t, add(record.Event{Type: record.SessionStart}))
	now = now.Add(10 * time.Second)
	w, err := cast.NewWriter(cast.Options{ID: "shell-1", Width: 100, Height: 30, Start: now, Emit: func(r record.Recording) error {
		return add(record.Event{Type: record.RecordingChunk, Recording: &r})
	}})
	must(t, err)
	must(t, w.Output(0, []byte("first\r\n")))
	must(t, w.Input(time.Second, []byte("typed")))
	must(t, w.Output(5*time.Second, []byte("sec\x1b]52;c;cm0gLXJmIH4=\x07ond\r\n")))
	must(t, w.Resize(6*time.Second, 120, 40))
	must(t, w.Output(time.Hour, []byte("\x1b[31mthird\r\n")))
	end, err := w.Close()
	must(t, err)
	now = now.Add(time.Hour)
	must(t, add(record.Event{Type: record.RecordingEnd, Recording: &end}))
	must(t, add(record.Event{Type: record.SessionEnd}))
	must(t, errors.Join(log.Finish(t.Context()), log.Close()))
	return dir
}

// replayed is what replay puts out.
func replayed(ctx context.Context, t *testing.T, onTerminal bool, change func(*options), args ...string) (string, error) {
	t.Helper()
	var out, problems bytes.Buffer
	flags := cluster.NewFlags()
	o := &options{
		IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &problems}, cluster: flags, trust: audit.NewTrust(flags.ConfigFlags),
		speed: 1000, maxWait: time.Millisecond, tempDir: t.TempDir(), onTerminal: func(any) bool { return onTerminal },
	}
	if change != nil {
		change(o)
	}
	err := o.run(ctx, args)
	if left, readErr := os.ReadDir(o.tempDir); readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, readErr)
	}
	return out.String(), err
}

// TestPlaysTerminals: checklist 48: what a terminal showed is played on a terminal, without
// what it would act on; elsewhere, the session is a transcript.
func TestPlaysTerminals(t *testing.T) {
	dir := session(t)
	got, err := replayed(t.Context(), t, true, nil, dir)
	must(t, err)
	for _, want := range []string{
		"shop/bastion", "Terminal shell-1, 100 x 30, from 0:00:10.000 on:\nfirst\r\nsecond\r\n\x1b[31mthird\r\n\x0f\x1b(B\x1b[0m", "Terminal shell-1 ends.\n", "1 sequences were left out",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if strings.Contains(got, "typed") || strings.Contains(got, "]52") || strings.Contains(got, "session begins") {
		t.Errorf("%q", got)
	}
	for name, change := range map[string]func(*options){"NoTerminal": nil, "NoWait": func(o *options) { o.noWait = true }} {
		got, err := replayed(t.Context(), t, name == "NoWait", change, dir)
		must(t, err)
		if !strings.Contains(got, "session begins") || !strings.Contains(got, "a terminal was recorded as shell-1") || strings.ContainsRune(got, 0x1b) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTerminalsPace: it goes on at the pace of the time, from any moment on.
func TestTerminalsPace(t *testing.T) {
	dir := session(t)
	ctx, cancel := context.WithCancel(t.Context())
	slow := func(o *options) { o.speed, o.maxWait = 1, time.Hour }
	seek := func(from time.Duration) (string, error) {
		return replayed(ctx, t, true, func(o *options) { slow(o); o.from = from }, dir)
	}
	// All is before that: nothing is waited for.
	if got, err := seek(2 * time.Hour); err != nil || !strings.Contains(got, "third") {
		t.Errorf("%v: %q", err, got)
	}
	// At the twentieth second of the session, what came next is an hour away.
	stop := time.AfterFunc(3*time.Second, cancel)
	defer stop.Stop()
	got, err := seek(20 * time.Second)
	if !errors.Is(err, context.Canceled) || !strings.Contains(got, "second") || strings.Contains(got, "third") || !strings.HasSuffix(got, "\x1b[?25h\r\n") {
		t.Errorf("%v: %q", err, got)
	}
}

// TestTerminalsUnproven: nothing is played that was changed.
func TestTerminalsUnproven(t *testing.T) {
	dir := session(t)
	changed := false
	must(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte("first")) {
			changed = true
			err = os.WriteFile(path, bytes.ReplaceAll(text, []byte("first"), []byte("worst")), 0o600)
		}
		return err
	}))
	got, err := replayed(t.Context(), t, true, nil, dir)
	if !changed || err == nil || got != "" {
		t.Errorf("%v: %q", err, got)
	}
}
