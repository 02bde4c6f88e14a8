// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestHeld(t *testing.T) {
	dir := directory(t)
	writeFile(t, filepath.Join(dir, "file"), "content")
	r := newRoad(script{})
	held, approved := make(chan struct{}), make(chan struct{})
	var silent atomic.Bool
	r.decide = func(ctx context.Context, op *Operation) error {
		if op.Kind != "remove" {
			return nil
		}
		close(held)
		select {
		case <-approved:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	config := configOf(r)
	config.Waits = silent.Store
	s := startRelay(t, startServer(t, dir), config)
	s.greet()
	s.send(packet(typeStat, 1, "file"), packet(typeRemove, 2, "file"), packet(typeStat, 3, "file"))
	<-held
	if p := s.receive(); p.id != 1 || p.kind != typeAttrs {
		t.Errorf("what was before is not answered while an operation is held: %+v", p)
	}
	if silent.Load() {
		t.Error("while an approver is waited for, silence counts as the client's")
	}
	if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
		t.Error("what is held reached the target")
	}
	close(approved)
	if p := s.receive(); p.id != 2 {
		t.Errorf("then %+v", p)
	}
	if code, _ := s.receive().status(); code != StatusNoSuchFile {
		t.Errorf("what came after it was forwarded before it: %d", code)
	}
	s.leave(t)
}

func TestEndedWhileHeld(t *testing.T) {
	r := newRoad(script{})
	held := make(chan struct{})
	r.decide = func(ctx context.Context, _ *Operation) error {
		close(held)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	s := startSession(t, directory(t), r)
	s.send(packet(typeRemove, 2, "file"))
	<-held
	why := errors.New("revoked")
	s.cancel(why)
	if err := s.end(); !errors.Is(err, why) {
		t.Errorf("ended with %v", err)
	}
}

func TestRoadFails(t *testing.T) {
	r := newRoad(script{})
	why := errors.New("the record is full")
	r.decide = func(context.Context, *Operation) error { return why }
	s := startSession(t, directory(t), r)
	s.send(packet(typeStat, 2, "."))
	if err := s.end(); !errors.Is(err, why) {
		t.Errorf("ended with %v", err)
	}
	if p, err := s.tryReceive(); err == nil {
		t.Errorf("an answer %+v", p)
	}
}

func TestUnclosed(t *testing.T) {
	dir := directory(t)
	writeFile(t, filepath.Join(dir, "file"), "content")
	r := newRoad(script{})
	s := startSession(t, dir, r)
	handle := s.open("file", flagRead|flagWrite)
	s.ask(typeRead, handle, uint64(0), uint32(100))
	s.ask(typeWrite, handle, uint64(2), "xyz")
	s.leave(t)
	got := find(t, r.all(), "open").Result
	want := Result{
		Outcome: Succeeded, Unclosed: true, Read: Transfer{Bytes: 7, Digest: digestOf([]byte("content"))},
		Written: Transfer{Bytes: 3, Offset: 2, Digest: digestOf([]byte("xyz"))},
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Whether it is whole, nobody knows.
	if r := got.Record(); r.Outcome != Unknown || r.ErrorCode != unclosed || len(r.Transfers) != 2 {
		t.Errorf("on record is %+v", r)
	}
}

func TestNeutral(t *testing.T) {
	for message, want := range map[string]string{
		"plain é":                            "plain é",
		"a\nb":                               "a b",
		"\x1b[2Jgone":                        `\u{1b}[2Jgone`,
		"\u202egnp":                          `\u{202e}gnp`,
		"bad \xff byte":                      "bad \uFFFD byte",
		strings.Repeat("x", maxMessage+1000): strings.Repeat("x", maxMessage+1) + " [cut off]",
	} {
		if got := neutral(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
	r := newRoad(script{})
	r.decide = func(context.Context, *Operation) error { return &Denied{Message: "no\x1b[31m\nask\u202e"} }
	s := startSession(t, directory(t), r)
	if code, message := s.ask(typeStat, ".").status(); code != StatusPermissionDenied || message != `no\u{1b}[31m ask\u{202e}` {
		t.Errorf("the client is told %d %q", code, message)
	}
}

func TestTargetEnds(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	s := startRelay(t, target, configOf(newRoad(script{})))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeStat, 1, "a"))
	fake.receive()
	_ = far.Close()
	if err := s.end(); !errors.Is(err, errTargetLeft) {
		t.Errorf("ended with %v", err)
	}
	if all := s.road.all(); len(all) != 1 || all[0].Result.Outcome != Unknown {
		t.Errorf("on record: %+v", all)
	}
}

func TestDurableBeforeAnswer(t *testing.T) {
	r := newRoad(script{})
	r.durable = make(chan struct{})
	s := startSession(t, directory(t), r)
	s.send(packet(typeStat, 1, "."))
	if n := s.fromTargetReached(); n != 0 {
		t.Errorf("%d bytes of an answer left before its record was durable", n)
	}
	close(r.durable)
	if p := s.receive(); p.kind != typeAttrs {
		t.Errorf("then %+v", p)
	}
	s.leave(t)
}

// fromTargetReached is how many bytes reach the client within a moment in which, without
// the record, they would.
func (s *started) fromTargetReached() int {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	n, _ := s.conn.Read(make([]byte, 1))
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	return n
}

func TestTake(t *testing.T) {
	dir := directory(t)
	writeFile(t, filepath.Join(dir, "file"), strings.Repeat("x", 100_000))
	r := newRoad(script{})
	left := int64(150_000)
	r.take = func(names, bytes int64) error {
		if left -= bytes + names; left < 0 {
			return &Denied{Message: "enough; come back tomorrow"}
		}
		return nil
	}
	s := startSession(t, dir, r)
	handle := s.open("file", flagRead)
	if got := s.ask(typeRead, handle, uint64(0), uint32(100_000)); got.kind != typeData {
		t.Errorf("what is within the limit: %+v", got)
	}
	if code, message := s.ask(typeRead, handle, uint64(0), uint32(100_000)).status(); code != StatusPermissionDenied || !strings.HasPrefix(message, "enough") {
		t.Errorf("what is beyond: %d %s", code, message)
	}
	left = 1
	if code, _ := s.ask(typeReaddir, s.ask(typeOpendir, ".").text()).status(); code != StatusPermissionDenied {
		t.Errorf("three names: %d", code)
	}
	if p := s.ask(typeStat, "file"); p.kind != typeAttrs {
		t.Errorf("the session does not go on: %+v", p)
	}
	s.leave(t)
	if got := find(t, r.all(), `open "`).Result; got.Outcome != Failed || got.Status != StatusPermissionDenied || got.Read.Bytes != 100_000 {
		t.Errorf("on record: %+v", got)
	}
}

func TestWaits(t *testing.T) {
	dir := directory(t)
	var mu sync.Mutex
	var told []bool
	config := configOf(newRoad(script{}))
	config.Waits = func(forClient bool) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, forClient)
	}
	s := startRelay(t, startServer(t, dir), config)
	s.greet()
	for range 3 {
		s.ask(typeStat, ".")
	}
	s.leave(t)
	if want := []bool{false, true, false, true, false, true}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
