// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// TestClientThatDoesNotRead: requests are not taken on while answers cannot be given, and
// nothing is kept meanwhile but what pipes hold.
func TestClientThatDoesNotRead(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	config := configOf(newRoad(script{}))
	config.MaxOutstanding = 64
	s := startRelay(t, target, config)
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeOpen, 1, "file", uint32(flagRead), noAttrs))
	fake.send(packet(typeHandle, fake.receive().id, "h"))
	s.receive()

	const requests = 20_000
	var seen atomic.Int64
	go func() { // a target that answers each READ with 32 KiB
		data := make([]byte, 32<<10)
		for {
			p, err := readPacket(far)
			if err != nil {
				return
			}
			seen.Add(1)
			if _, err := far.Write(packet(typeData, p.id, data)); err != nil {
				return
			}
		}
	}()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range uint32(requests) {
			if _, err := s.conn.Write(packet(typeRead, 10+i, "h", uint64(i)<<15, uint32(32<<10))); err != nil {
				return
			}
		}
	}()
	// What the target has seen stands still well below what was sent.
	last := int64(-1)
	for last != seen.Load() || last == 0 {
		last = seen.Load()
		<-time.After(500 * time.Millisecond)
	}
	if last > 500 {
		t.Errorf("%d requests reached the target while the client read nothing", last)
	}
	for i := range uint32(requests) {
		if p := s.receive(); p.id != 10+i {
			t.Fatalf("answer to %d, want %d", p.id, 10+i)
		}
	}
	<-sent
}

// TestTargetThatDoesNotRead: the client cannot write on while the target does not take it.
func TestTargetThatDoesNotRead(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	s := startRelay(t, target, configOf(newRoad(script{})))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeOpen, 1, "file", uint32(flagWrite), noAttrs))
	fake.send(packet(typeHandle, fake.receive().id, "h"))
	s.receive()
	_ = s.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	written := 0
	for i := range uint32(1000) {
		n, err := s.conn.Write(packet(typeWrite, 10+i, "h", uint64(i)<<18, make([]byte, 256<<10)))
		written += n
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			break
		}
	}
	if written > 8<<20 {
		t.Errorf("%d bytes were taken from the client while the target read nothing", written)
	}
}

// TestResolveWaits: the target is asked where a path leads when all that may change it is
// answered, since it may work on several requests at once.
func TestResolveWaits(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	r := newRoad(script{Resolve: true})
	s := startRelay(t, target, configOf(r))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeMkdir, 1, "d", noAttrs), packet(typeStat, 2, "d/x"))
	asked := func(path string) {
		p := fake.receive()
		if p.kind != typeRealpath || p.text() != path {
			t.Fatalf("the target sees type %d, %q", p.kind, p.text())
		}
		fake.send(packet(typeName, p.id, uint32(1), "/real"+path, "", noAttrs))
	}
	p := fake.receive()
	if p.kind != typeRealpath || p.text() != "." {
		t.Fatalf("the target sees type %d, %q", p.kind, p.text())
	}
	fake.send(packet(typeName, p.id, uint32(1), "/real", "", noAttrs))
	if p := fake.receive(); p.kind != typeMkdir {
		t.Fatalf("the target sees type %d", p.kind)
	}
	_ = far.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, _ := far.Read(make([]byte, 1)); n != 0 {
		t.Fatal("the target is asked before the directory is made")
	}
	_ = far.SetReadDeadline(time.Now().Add(patience))
	fake.send(packet(typeStatus, 1, uint32(0), "", ""))
	s.receive()
	asked("d/x")
	if p := fake.receive(); p.kind != typeStat || p.text() != "d/x" {
		t.Errorf("what is forwarded is not what came: %+v", p)
	}
	fake.send(packet(typeAttrs, 2, noAttrs))
	s.receive()
	_ = s.conn.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := io.Copy(io.Discard, far); err != nil {
		t.Error(err)
	}
	_ = far.Close()
	if err := s.end(); err != nil {
		t.Error(err)
	}
	find(t, r.all(), `mkdir "/real/d"`)
	find(t, r.all(), `stat "/reald/x"`)
}

// TestOwnIDs: the relay's questions have ids that are not the client's.
func TestOwnIDs(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	s := startRelay(t, target, configOf(newRoad(script{Resolve: true})))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	// REALPATH of the relay for each STAT; the client's STATs stay unanswered.
	taken := map[uint32]bool{}
	for i := range uint32(3) {
		s.send(packet(typeStat, firstOwn+i, "x"))
		p := fake.receive()
		if p.kind != typeRealpath || taken[p.id] {
			t.Fatalf("question %d has type %d and id %#x, which the client uses", i, p.kind, p.id)
		}
		fake.send(packet(typeName, p.id, uint32(1), "/x", "", noAttrs))
		taken[fake.receive().id] = true
	}
	for id := range taken {
		fake.send(packet(typeAttrs, id, noAttrs))
		if p := s.receive(); p.id != id {
			t.Errorf("answer to %#x, want %#x", p.id, id)
		}
	}
}

// TestOutstanding: the target has no more requests to answer than may be.
func TestOutstanding(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	config := configOf(newRoad(script{Deny: []string{"remove *"}}))
	config.MaxOutstanding = 4
	s := startRelay(t, target, config)
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	for i := range uint32(6) {
		s.send(packet(typeStat, 10+i, "x"))
	}
	for i := range uint32(4) {
		if p := fake.receive(); p.id != 10+i {
			t.Fatalf("the target sees %d", p.id)
		}
	}
	_ = far.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, _ := far.Read(make([]byte, 1)); n != 0 {
		t.Fatal("the target sees a fifth request before the first is answered")
	}
	_ = far.SetReadDeadline(time.Now().Add(patience))
	for i := range uint32(2) {
		fake.send(packet(typeAttrs, 10+i, noAttrs))
		if p := fake.receive(); p.id != 14+i {
			t.Fatalf("the target sees %d", p.id)
		}
	}
}

// TestPacketsAreWhole: an answer of the relay's own never comes within one of the target's.
func TestPacketsAreWhole(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	r := newRoad(script{Deny: []string{"remove *"}})
	s := startRelay(t, target, configOf(r))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeStat, 1, "x"))
	fake.receive()
	whole := packet(typeStatus, 1, uint32(4), string(content(200_000)), "")
	fake.send(whole[:100_000])
	got := make([]byte, len(whole))
	if _, err := io.ReadFull(s.conn, got[:100_000]); err != nil {
		t.Fatal(err)
	}
	s.send(packet(typeRemove, 2, "x"))
	<-r.after // the STAT is done
	for len(r.all()) < 2 {
		<-r.after
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, _ := s.conn.Read(make([]byte, 1)); n != 0 {
		t.Fatal("something came within an answer")
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	fake.send(whole[100_000:])
	if _, err := io.ReadFull(s.conn, got[100_000:]); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("the answer is not what the target sent: %v", err)
	}
	if p := s.receive(); p.id != 2 {
		t.Errorf("then %+v", p)
	}
}
