// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
)

// TestIdleTerminalIsRecorded: what a terminal showed last is on record although nothing follows,
// and then no clock runs for it.
func TestIdleTerminalIsRecorded(t *testing.T) {
	parts := make(chan record.Recording, 8)
	begin := func(t *testing.T) *tape {
		t.Helper()
		tape := &tape{began: time.Now(), broke: func(err error) { t.Error(err) }}
		tape.emit = func(part record.Recording) error { parts <- part; return nil }
		writer, err := cast.NewWriter(cast.Options{ID: "terminal-1", Start: tape.began, Emit: tape.emit})
		if err != nil {
			t.Fatal(err)
		}
		tape.writer = writer
		return tape
	}
	tape := begin(t)
	for _, text := range []string{"first", "second"} {
		if err := tape.output([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if part := <-parts; !strings.Contains(part.Data, text) {
			t.Errorf("%q is not on record: %q", text, part.Data)
		}
		tape.flushing.Wait()
		tape.mu.Lock()
		if tape.timer != nil {
			t.Error("an idle terminal has a clock")
		}
		tape.mu.Unlock()
	}
	// The end does not wait for the clock, and nothing comes after it.
	if err := tape.output([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if err := tape.close(); err != nil {
		t.Fatal(err)
	}
	if part := <-parts; !strings.Contains(part.Data, "last") {
		t.Errorf("the last is not on record: %q", part.Data)
	}
	if end := <-parts; end.Data != "" {
		t.Errorf("no end: %q", end.Data)
	}
	if tape.timer.Stop() {
		t.Error("a clock runs after the end")
	}
}
