// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordtest

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLog(t *testing.T) {
	l := NewLog()
	release := l.Hold()
	appended := make(chan error, 1)
	go func() {
		p, err := l.Append(t.Context(), record.Event{Type: record.SessionStart, Session: "a"})
		if p != (record.Position{LogID: LogID, Index: 1}) {
			err = errors.Join(err, errors.New("wrong position"))
		}
		appended <- err
	}()
	if err := l.AppendLater(record.Event{Type: record.ProxyStart}); err != nil {
		t.Fatal(err)
	}
	if got := l.OfType(record.SessionStart); len(got) != 0 {
		t.Errorf("held append is there: %v", got)
	}
	release()
	if got := l.Await(t.Context(), t, "session start", Type(record.SessionStart)); got.Session != "a" || got.Time.IsZero() {
		t.Errorf("awaited %+v", got)
	}
	if err := <-appended; err != nil {
		t.Error(err)
	}
	errBoom := errors.New("boom")
	l.Fail(errBoom)
	if _, err := l.Append(t.Context(), record.Event{}); !errors.Is(err, errBoom) {
		t.Errorf("Append: %v, want %v", err, errBoom)
	}
	if got := l.Documents(t); len(got) != 2 || got[1].Index != 1 {
		t.Errorf("documents %+v", got)
	}
}
