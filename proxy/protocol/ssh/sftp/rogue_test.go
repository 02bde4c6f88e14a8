// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"errors"
	"strings"
	"testing"
)

// openAtFake is a client that has opened a file as 10, with handle "h", of a target that does what a
// test says.
func openAtFake(t *testing.T, flags uint32) (*started, *wire, *road) {
	t.Helper()
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	r := newRoad(script{})
	s := startRelay(t, target, configOf(r))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeOpen, 10, "file", flags, noAttrs))
	fake.send(packet(typeHandle, fake.receive().id, "h"))
	s.receive()
	return s, fake, r
}

// TestRogueTarget: whatever a target sends that is no answer to what was asked ends the
// session, and nothing of it reaches the client.
func TestRogueTarget(t *testing.T) {
	name := func(id uint32, count uint32) []byte { return packet(typeName, id, count, "a", "a", noAttrs) }
	// The requests of a session: file 10 is open with handle "h".
	const open, read, write, stat, realpath, list, remove, statvfs, limits = 1, 2, 3, 4, 5, 6, 7, 8, 9
	cases := map[string]struct {
		answer []byte
		reason string
	}{
		"UnknownID":         {packet(typeStatus, 99, uint32(0), "", ""), "nobody asked"},
		"AnsweredTwice":     {append(packet(typeAttrs, stat, noAttrs), packet(typeAttrs, stat, noAttrs)...), "the second is to nothing"},
		"OwnID":             {packet(typeName, firstOwn, uint32(1), "/", "", noAttrs), "the relay asks nothing now"},
		"DataToStat":        {packet(typeData, stat, "content"), "a STAT has attributes"},
		"HandleToStat":      {packet(typeHandle, stat, "handle"), "a STAT has attributes"},
		"AttrsToOpen":       {packet(typeAttrs, open, noAttrs), "an OPEN has a handle"},
		"NameToRead":        {name(read, 1), "a READ has data"},
		"DataToWrite":       {packet(typeData, write, "x"), "a WRITE has a status"},
		"NameToRemove":      {name(remove, 1), "a REMOVE has a status"},
		"NoTypeToRemove":    {packet(0, remove), "a REMOVE has a status"},
		"NoTypeToWrite":     {packet(0, write), "a WRITE has a status"},
		"AttrsToStatvfs":    {packet(typeAttrs, statvfs, noAttrs), "an extension has its own"},
		"VersionLater":      {packet(typeVersion, 3), "the version is settled"},
		"RequestOfTarget":   {packet(typeRemove, remove, "/etc/passwd"), "a target asks for nothing"},
		"UnknownType":       {packet(77, stat), "no answer has it"},
		"MoreThanAsked":     {packet(typeData, read, strings.Repeat("x", 101)), "100 bytes were asked for"},
		"DataBeyondPacket":  {packet(typeData, read, uint32(50), byte('x')), "the length is not that of the packet"},
		"DataBeforeEnd":     {packet(typeData, read, "x", byte(0)), "the length is not that of the packet"},
		"DataWithoutLength": {packet(typeData, read), "the length is missing"},
		"StatusCut":         {packet(typeStatus, stat, byte(0)), "the code is cut off"},
		"EmptyHandle":       {packet(typeHandle, open, ""), "a handle has a byte at least"},
		"LongHandle":        {packet(typeHandle, open, strings.Repeat("h", 257)), "a handle has 256 bytes at most"},
		"DuplicateHandle":   {packet(typeHandle, open, "h"), "it is that of another file"},
		"ManyNames":         {name(list, maxNames+1), "more names than may be"},
		"NamesBeyondPacket": {name(list, 1000), "more names than the packet can hold"},
		"Length0":           {[]byte{0, 0, 0, 0, typeStatus, 0, 0, 0, stat}, "a packet has a type and an id"},
		"Length4G":          {[]byte{255, 255, 255, 255, typeStatus, 0, 0, 0, stat}, "longer than a packet may be"},
		"LongStatus":        {packet(typeStatus, stat, uint32(4), strings.Repeat("x", 300_000), ""), "longer than a packet may be"},
		"ShortLimits":       {packet(typeExtendedReply, limits, uint64(1)), "four numbers were asked for"},
	}
	for caseName, c := range cases {
		t.Run(caseName, func(t *testing.T) {
			s, fake, r := openAtFake(t, flagRead|flagWrite)
			requests := [][]byte{
				packet(typeOpen, open, "a", uint32(flagRead), noAttrs), packet(typeRead, read, "h", uint64(0), uint32(100)),
				packet(typeWrite, write, "h", uint64(0), "data"), packet(typeStat, stat, "a"), packet(typeRealpath, realpath, "a"),
				packet(typeOpendir, 11, "d"),
			}
			s.send(requests...)
			for range requests {
				fake.receive()
			}
			fake.send(packet(typeHandle, 11, "d"))
			s.receive()
			requests = [][]byte{
				packet(typeReaddir, list, "d"), packet(typeRemove, remove, "a"),
				packet(typeExtended, statvfs, "statvfs@openssh.com", "a"), packet(typeExtended, limits, "limits@openssh.com"),
			}
			s.send(requests...)
			for range requests {
				fake.receive()
			}
			go func() { _, _ = fake.conn.Write(c.answer) }()
			if err := s.end(); !errors.Is(err, ErrTarget) {
				t.Errorf("%s: the session ends with %v", c.reason, err)
			}
			for {
				p, err := s.tryReceive()
				if err != nil {
					break
				}
				if caseName != "AnsweredTwice" || p.kind != typeAttrs {
					t.Errorf("the client gets %+v", p)
				}
			}
			if n := r.unfinished(); n != 0 {
				t.Errorf("%d operations are not done", n)
			}
		})
	}
}

// TestTargetOutOfOrder: answers may come in any order, and handles come again.
func TestTargetOutOfOrder(t *testing.T) {
	s, fake, r := openAtFake(t, flagRead)
	whole := content(300)
	s.send(packet(typeRead, 2, "h", uint64(0), uint32(100)), packet(typeRead, 3, "h", uint64(100), uint32(100)),
		packet(typeRead, 4, "h", uint64(200), uint32(100)), packet(typeClose, 5, "h"))
	for range 4 {
		fake.receive()
	}
	// The handle is given again before its CLOSE is answered, by a target that works on both at once.
	s.send(packet(typeOpen, 6, "next", uint32(flagRead), noAttrs))
	fake.receive()
	fake.send(packet(typeHandle, 6, "h"), packet(typeData, 4, whole[200:]), packet(typeStatus, 5, uint32(0), "", ""), packet(typeData, 3, whole[100:200]))
	for _, want := range []uint32{6, 4, 5, 3} {
		if p := s.receive(); p.id != want {
			t.Fatalf("answer to %d, want %d", p.id, want)
		}
	}
	if len(r.all()) != 0 {
		t.Error("the file is done before its READ is answered")
	}
	fake.send(packet(typeData, 2, whole[:100]))
	s.receive()
	<-r.after
	want := Result{Outcome: Succeeded, Read: Transfer{Bytes: 300, Digest: digestOf(whole)}}
	if got := find(t, r.all(), `open "/home/user/file"`).Result; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestReadCut: what went to the client of an answer that never ended is on record.
func TestReadCut(t *testing.T) {
	s, fake, r := openAtFake(t, flagRead)
	s.send(packet(typeRead, 2, "h", uint64(0), uint32(1000)))
	fake.receive()
	whole := content(1000)
	if _, err := fake.conn.Write(packet(typeData, 2, whole)[:headSize+4+600]); err != nil {
		t.Fatal(err)
	}
	_ = fake.conn.Close()
	if err := s.end(); !errors.Is(err, errTargetLeft) {
		t.Errorf("the session ends with %v", err)
	}
	want := Result{Outcome: Unknown, Unclosed: true, Read: Transfer{Bytes: 600, Digest: digestOf(whole[:600])}}
	if got := find(t, r.all(), "open").Result; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFailedWrites(t *testing.T) {
	s, fake, r := openAtFake(t, flagWrite)
	s.send(packet(typeWrite, 2, "h", uint64(0), "abc"), packet(typeWrite, 3, "h", uint64(3), "def"), packet(typeClose, 4, "h"))
	for i, code := range []Status{StatusOK, StatusFailure, StatusOK} {
		fake.receive()
		fake.send(packet(typeStatus, uint32(2+i), uint32(code), "disk full", ""))
		s.receive()
	}
	<-r.after
	want := Result{Outcome: Failed, Status: StatusFailure, Written: Transfer{Bytes: 3, Undigested: undigestedFailed}}
	if got := find(t, r.all(), "open").Result; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
