// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cast_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
)

// tape keeps the parts as a log does: through their JSON.
type tape struct {
	tb    testing.TB
	parts []record.RecordingDocument
	err   error
}

func (t *tape) emit(r record.Recording) error {
	if t.err != nil {
		return t.err
	}
	t.parts = append(t.parts, *t.logged(record.RecordingChunk, r))
	return nil
}

func (t *tape) logged(kind record.Type, r record.Recording) *record.RecordingDocument {
	t.tb.Helper()
	d, err := record.Decode(record.AppendJSON(nil, record.Position{LogID: "x"}, record.Hash{}, &record.Event{Type: kind, Recording: &r}))
	if err != nil {
		t.tb.Fatal(err)
	}
	return d.Recording
}

func begin(t *tape, id string) *cast.Writer {
	t.tb.Helper()
	w, err := cast.NewWriter(cast.Options{
		ID: id, Width: 100, Height: 30, Start: time.Unix(1772600767, 0), Title: "a \"shell\"\x1b", Term: "xterm", Emit: t.emit,
	})
	if err != nil {
		t.tb.Fatal(err)
	}
	return w
}

// finish closes the recording and puts it together from what the log has.
func finish(t *tape, w *cast.Writer, id string) string {
	t.tb.Helper()
	end, err := w.Close()
	if err != nil {
		t.tb.Fatal(err)
	}
	var out strings.Builder
	a := cast.NewAssembler(id, &out)
	for i := range t.parts {
		if err := a.Part(&t.parts[i]); err != nil {
			t.tb.Fatal(err)
		}
		if n := len(t.parts[i].Data); n > cast.PartBytes {
			t.tb.Errorf("part %d has %d bytes", i, n)
		}
	}
	if err := a.End(t.logged(record.RecordingEnd, end)); err != nil {
		t.tb.Fatal(err)
	}
	return out.String()
}

func TestEvents(t *testing.T) {
	tp := &tape{tb: t}
	w := begin(tp, "shell-1")
	steps := []error{
		w.Output(100*time.Millisecond, []byte("\x1b[1mh\xc3")),
		w.Input(200*time.Millisecond, []byte("\r")),
		w.Output(300*time.Millisecond, []byte("\xa9\xff\xfe|\xe2\x82")),
		w.Resize(400*time.Millisecond, 120, 50),
		w.Output(350*time.Millisecond, []byte("€😀\u202e\"\\\n\t\x7f")),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	want := `{"version":2,"width":100,"height":30,"timestamp":1772600767,"title":"a \"shell\"\u001b","env":{"TERM":"xterm"}}
[0.100000,"o","\u001b[1mh"]
[0.200000,"i","\r"]
[0.300000,"o","\u00e9\ufffd\ufffd|"]
[0.400000,"r","120x50"]
[0.400000,"o","\ufffd\u20ac\ud83d\ude00\u202e\"\\\n\t\u007f"]
`
	got := finish(tp, w, "shell-1")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recording: -want +got:\n%s", diff)
	}
}

// TestRoundTrip: whatever the bytes are, what a player shows is the text, and
// all of it is printable ASCII.
func TestRoundTrip(t *testing.T) {
	tp := &tape{tb: t}
	w := begin(tp, "big")
	var shown strings.Builder
	text := strings.Repeat("Zeile mit ümläuten und 漢字 \x1b[31m\r\n", 20000)
	for at, rest := time.Duration(0), text; rest != ""; at += 7 * time.Millisecond {
		n := min(len(rest), 1+int(at/time.Millisecond)%9001)
		if err := w.Output(at, []byte(rest[:n])); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	lines := bufio.NewScanner(strings.NewReader(finish(tp, w, "big")))
	lines.Buffer(nil, 1<<20)
	last := -1.0
	for first := true; lines.Scan(); first = false {
		if strings.IndexFunc(lines.Text(), func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
			t.Fatalf("line not printable ASCII: %q", lines.Text())
		}
		var event [3]any
		if first {
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		if event[0].(float64) < last {
			t.Fatalf("time goes back: %q", lines.Text())
		}
		last = event[0].(float64)
		shown.WriteString(event[2].(string))
	}
	if shown.String() != text {
		t.Errorf("shown are %d bytes of %d, or others", shown.Len(), len(text))
	}
	if len(tp.parts) < 20 {
		t.Errorf("%d parts", len(tp.parts))
	}
}

// TestPartTime: a part is emitted when the next event comes a second later.
func TestPartTime(t *testing.T) {
	tp := &tape{tb: t}
	w := begin(tp, "idle")
	for _, at := range []time.Duration{0, 900 * time.Millisecond, 1100 * time.Millisecond} {
		if err := w.Output(at, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if len(tp.parts) != 1 {
		t.Errorf("%d parts after 1.1 seconds, want 1", len(tp.parts))
	}
	if err := w.Flush(); err != nil || len(tp.parts) != 2 {
		t.Errorf("%d parts after Flush: %v", len(tp.parts), err)
	}
}

// TestFailedPart: checklist 43. A recording that cannot be kept ends.
func TestFailedPart(t *testing.T) {
	full := errors.New("disk full")
	tp := &tape{tb: t, err: full}
	w := begin(tp, "lost")
	if err := w.Output(0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("Flush: %v", err)
	}
	if err := w.Output(0, []byte("x")); !errors.Is(err, full) {
		t.Errorf("Output after a failed part: %v", err)
	}
	if _, err := w.Close(); !errors.Is(err, full) {
		t.Errorf("Close: %v", err)
	}
}

func TestAssemblerRefuses(t *testing.T) {
	tp := &tape{tb: t}
	w := begin(tp, "r")
	for at := range 3 {
		if err := errors.Join(w.Output(time.Duration(at)*time.Second, []byte("x")), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	end, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		change func(parts []record.RecordingDocument, end *record.RecordingDocument) []record.RecordingDocument
	}{
		"Changed": {"a digest that does not match", func(p []record.RecordingDocument, _ *record.RecordingDocument) []record.RecordingDocument {
			p[1].Data = strings.Replace(p[1].Data, "x", "y", 1)
			return p
		}},
		"ChangedWithDigest": {"the end's digest covers all", func(p []record.RecordingDocument, _ *record.RecordingDocument) []record.RecordingDocument {
			p[1].Data = strings.Replace(p[1].Data, "x", "y", 1)
			p[1].Digest = cast.Digest([]byte(p[1].Data))
			return p
		}},
		"Missing": {"a part is missing", func(p []record.RecordingDocument, _ *record.RecordingDocument) []record.RecordingDocument {
			return append(p[:1:1], p[2:]...)
		}},
		"LastMissing": {"the last part is missing", func(p []record.RecordingDocument, _ *record.RecordingDocument) []record.RecordingDocument {
			return p[:2]
		}},
		"Other": {"a part of another recording", func(p []record.RecordingDocument, _ *record.RecordingDocument) []record.RecordingDocument {
			p[2].ID = "other"
			return p
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			last := tp.logged(record.RecordingEnd, end)
			parts := tc.change(append([]record.RecordingDocument(nil), tp.parts...), last)
			a := cast.NewAssembler("r", &strings.Builder{})
			var errs []error
			for i := range parts {
				errs = append(errs, a.Part(&parts[i]))
			}
			if err := errors.Join(append(errs, a.End(last))...); !errors.Is(err, cast.ErrDamaged) {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

// TestInvalid: as decoders that replace do it (Unicode 3.9, table 3-8).
func TestInvalid(t *testing.T) {
	tp := &tape{tb: t}
	w := begin(tp, "bad")
	if err := w.Output(0, []byte("a\xf1\x80\x80\xe1\x80\xc2b\x80c\x80\xbfd")); err != nil {
		t.Fatal(err)
	}
	if got, want := finish(tp, w, "bad"), `"a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd"]`+"\n"; !strings.HasSuffix(got, want) {
		t.Errorf("recording ends %q, want %q", got, want)
	}
}

// FuzzOutput: whatever is written, each part is printable ASCII of whole lines.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("\x1b[1m\xc3"), []byte("\xa9\xff"), int64(1))
	f.Fuzz(func(t *testing.T, a, b []byte, at int64) {
		tp := &tape{tb: t}
		w := begin(tp, "fuzz")
		if err := errors.Join(w.Output(time.Duration(at), a), w.Input(0, b), w.Output(time.Duration(at)*2, b)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(finish(tp, w, "fuzz")) {
			if !json.Valid([]byte(line)) || strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
				t.Fatalf("line %q", line)
			}
		}
	})
}
