// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDenialsInPipeline(t *testing.T) {
	dir := directory(t)
	want := content(1_000_000)
	writeFile(t, filepath.Join(dir, "file"), string(want))
	writeFile(t, filepath.Join(dir, "kept"), "kept")
	r := newRoad(script{Deny: []string{"remove *", "write *"}})
	s := startSession(t, dir, r)
	handle := s.open("file", flagRead)

	const requests = 400
	var pipeline [][]byte
	for i := range uint32(requests) {
		switch id := 1000 + i; i % 4 {
		case 0:
			pipeline = append(pipeline, packet(typeRemove, id, "kept"))
		case 1:
			pipeline = append(pipeline, packet(typeOpen, id, "made", uint32(flagWrite|flagCreate), noAttrs))
		case 2:
			pipeline = append(pipeline, packet(typeStat, id, "file"))
		default:
			pipeline = append(pipeline, packet(typeRead, id, handle, uint64(i)*2000, uint32(2000)))
		}
	}
	go func() { _, _ = s.conn.Write(slices.Concat(pipeline...)) }()
	for i := range uint32(requests) {
		p := s.receive()
		if p.id != 1000+i {
			t.Fatalf("answer %d is to request %d: not in the client's order", i, p.id)
		}
		switch code, message := p.status(); i % 4 {
		case 0, 1:
			if code != StatusPermissionDenied || !strings.HasSuffix(message, "; ask for it") {
				t.Fatalf("request %d: %d %q", i, code, message)
			}
		case 2:
			if p.kind != typeAttrs {
				t.Fatalf("request %d: type %d", i, p.kind)
			}
		default:
			if p.text() != string(want[i*2000:(i+1)*2000]) {
				t.Fatalf("request %d: other content", i)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "made")); err == nil {
		t.Error("a denied OPEN reached the target")
	}
	if _, err := os.Stat(filepath.Join(dir, "kept")); err != nil {
		t.Error("a denied REMOVE reached the target")
	}
	s.leave(t)
	if got := find(t, r.all(), fmt.Sprintf("open %q", filepath.Join(dir, "file"))); !got.Result.Unclosed || got.Result.Read.Bytes != 100*2000 || got.Result.Read.Undigested != undigestedGap {
		t.Errorf("a file read with gaps and not closed: %+v", got.Result)
	}
}

// leave ends the session from the client's side and checks that everything is done.
func (s *started) leave(t *testing.T) {
	t.Helper()
	if err := s.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := s.end(); err != nil {
		t.Errorf("end: %v", err)
	}
	if n := s.road.unfinished(); n != 0 {
		t.Errorf("%d operations are not done", n)
	}
}

func TestRefusedOnHandles(t *testing.T) {
	dir := directory(t)
	writeFile(t, filepath.Join(dir, "file"), "content")
	writeFile(t, filepath.Join(dir, "other"), "other")
	s := startSession(t, dir, newRoad(script{Deny: []string{"setstat *"}}))
	reads, writes := s.open("file", flagRead), s.open("other", flagWrite)
	neither := s.open("other", 0)
	listed := s.ask(typeOpendir, ".").text()
	closed := s.open("file", flagRead|flagWrite)
	if code, _ := s.ask(typeClose, closed).status(); code != StatusOK {
		t.Fatal(code)
	}
	perm := []any{uint32(attrPermissions), uint32(0o777)}
	cases := map[string]struct {
		kind   byte
		fields []any
		want   Status
		reason string
	}{
		"ReadOfWriteOnly":     {typeRead, []any{writes, uint64(0), uint32(10)}, StatusPermissionDenied, "its OPEN was not decided for reading"},
		"WriteOfReadOnly":     {typeWrite, []any{reads, uint64(0), "x"}, StatusPermissionDenied, "its OPEN was not decided for writing"},
		"LongWriteOfReadOnly": {typeWrite, []any{reads, uint64(0), strings.Repeat("x", 200_000)}, StatusPermissionDenied, "the data of a refused WRITE is skipped"},
		"WriteWithoutFlags":   {typeWrite, []any{neither, uint64(0), "x"}, StatusPermissionDenied, "an OPEN without flags is one for reading"},
		"ReadClosed":          {typeRead, []any{closed, uint64(0), uint32(10)}, StatusFailure, "a handle is good until its CLOSE"},
		"WriteClosed":         {typeWrite, []any{closed, uint64(0), "x"}, StatusFailure, "a handle is good until its CLOSE"},
		"CloseTwice":          {typeClose, []any{closed}, StatusFailure, "a handle is good until its CLOSE"},
		"ReadUnknown":         {typeRead, []any{"made up", uint64(0), uint32(10)}, StatusFailure, "the target did not give it"},
		"EmptyHandle":         {typeFstat, []any{""}, StatusFailure, "the target did not give it"},
		"LongHandle":          {typeRead, []any{strings.Repeat("h", 257), uint64(0), uint32(10)}, StatusBadMessage, "handles have 256 bytes at most"},
		"ReadDirectory":       {typeRead, []any{listed, uint64(0), uint32(10)}, StatusPermissionDenied, "a directory is listed"},
		"ReaddirFile":         {typeReaddir, []any{reads}, StatusFailure, "a file is none"},
		"FsetstatReadOnly":    {typeFsetstat, append([]any{reads}, perm...), StatusPermissionDenied, "chmod works on a handle for reading"},
		"FsetstatDenied":      {typeFsetstat, append([]any{writes}, perm...), StatusPermissionDenied, "a rule against setstat holds for handles"},
		"CopyFromWriteOnly":   {typeExtended, []any{"copy-data", writes, uint64(0), uint64(0), writes, uint64(0)}, StatusPermissionDenied, "what is copied is read"},
		"CopyToReadOnly":      {typeExtended, []any{"copy-data", reads, uint64(0), uint64(0), reads, uint64(0)}, StatusPermissionDenied, "what is copied is written"},
		"CopyToUnknown":       {typeExtended, []any{"copy-data", reads, uint64(0), uint64(0), "made up", uint64(0)}, StatusFailure, "the target did not give it"},
		"CutWrite":            {typeWrite, []any{writes, uint64(0), uint32(100), uint32(0)}, StatusBadMessage, "the data has another length than it says"},
		"LongerWrite":         {typeWrite, []any{writes, uint64(0), "data", uint32(0)}, StatusBadMessage, "bytes after the data"},
		"LongerRead":          {typeRead, []any{reads, uint64(0), uint32(10), uint32(0)}, StatusBadMessage, "bytes after the length"},
	}
	for name, c := range cases {
		before := len(s.road.all())
		code, message := s.ask(c.kind, c.fields...).status()
		if code != c.want || message == "" {
			t.Errorf("%s: %d %q, want %d: %s", name, code, message, c.want, c.reason)
		}
		if after := s.road.all(); len(after) != before+1 || after[before].Denied == "" {
			t.Errorf("%s: the refusal is not on record", name)
		}
	}
	for name, want := range map[string]string{"file": "content", "other": "other"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	// What is allowed on each goes on.
	if got := s.ask(typeRead, reads, uint64(0), uint32(100)).text(); got != "content" {
		t.Errorf("read %q", got)
	}
	for _, p := range []packetIn{s.ask(typeFstat, reads), s.ask(typeExtended, "fstatvfs@openssh.com", reads), s.ask(typeReaddir, listed)} {
		if p.kind == typeStatus {
			t.Errorf("refused: %v", p)
		}
	}
	s.leave(t)
}

func TestUnreadable(t *testing.T) {
	dir := directory(t)
	s := startSession(t, dir, newRoad(script{}))
	cases := map[string]struct {
		kind   byte
		fields []any
		want   Status
		kindOn string
		reason string
	}{
		"UnknownType":       {42, []any{"x"}, StatusOpUnsupported, "unknown", "no request has it"},
		"AnswerAsRequest":   {typeData, []any{"x"}, StatusOpUnsupported, "unknown", "an answer is no request"},
		"UnknownExtension":  {typeExtended, []any{"rm-rf@example.com", "/"}, StatusOpUnsupported, "unknown", "what it does is not known"},
		"VendorExtension":   {typeExtended, []any{"check-file", "h"}, StatusOpUnsupported, "unknown", "what it does is not known"},
		"EmptyExtension":    {typeExtended, nil, StatusBadMessage, "unknown", "it has no name"},
		"OpenFlags":         {typeOpen, []any{"x", uint32(0x41), noAttrs}, StatusOpUnsupported, "open", "flags of later versions"},
		"ExtendedAttribute": {typeMkdir, []any{"x", uint32(attrExtended), uint32(1), "a", "b"}, StatusOpUnsupported, "mkdir", "of the server's own meaning"},
		"LaterAttributes":   {typeMkdir, []any{"x", uint32(0x10)}, StatusOpUnsupported, "mkdir", "flags of later versions"},
		"CutAttributes":     {typeMkdir, []any{"x", uint32(attrSize), uint32(0)}, StatusBadMessage, "mkdir", "half a size"},
		"NoPath":            {typeRemove, nil, StatusBadMessage, "remove", "the path is missing"},
		"CutPath":           {typeRemove, []any{uint32(10), byte('x')}, StatusBadMessage, "remove", "the path is cut off"},
		"GiantPathLength":   {typeRemove, []any{uint32(0xffffffff)}, StatusBadMessage, "remove", "a length beyond the packet"},
		"LongPath":          {typeRemove, []any{strings.Repeat("/x", 2048)}, StatusBadMessage, "remove", "longer than file systems take"},
		"NulInPath":         {typeRemove, []any{"a\x00b"}, StatusBadMessage, "remove", "servers end a path there"},
		"NulAtEnd":          {typeRemove, []any{"a\x00"}, StatusBadMessage, "remove", "OpenSSH takes it for the path without"},
		"MoreAfterPath":     {typeRemove, []any{"a", "b"}, StatusBadMessage, "remove", "a server may read it otherwise"},
		"LongRequest":       {typeRemove, []any{strings.Repeat("x", 100_000)}, StatusBadMessage, "remove", "longer than is held"},
		"LongUnknown":       {42, []any{strings.Repeat("x", 200_000)}, StatusBadMessage, "unknown", "longer than is held"},
		"OddIds":            {typeExtended, []any{"users-groups-by-id@openssh.com", "12345", ""}, StatusBadMessage, "users-groups-by-id", "ids have four bytes"},
	}
	for name, c := range cases {
		before := len(s.road.all())
		code, message := s.ask(c.kind, c.fields...).status()
		if code != c.want || message == "" {
			t.Errorf("%s: %d %q, want %d: %s", name, code, message, c.want, c.reason)
		}
		after := s.road.all()
		if len(after) != before+1 || after[before].Operation.Refuse == nil || after[before].Operation.Kind != c.kindOn {
			t.Errorf("%s: on record: %+v", name, after[before:])
		}
	}
	if p := s.ask(typeStat, "."); p.kind != typeAttrs {
		t.Errorf("the session does not go on: %v", p)
	}
	s.leave(t)
}

func TestLimits(t *testing.T) {
	dir := directory(t)
	for i := range 5 {
		writeFile(t, filepath.Join(dir, fmt.Sprint(i)), "x")
	}
	config := configOf(newRoad(script{}))
	config.MaxHandles, config.MaxOutstanding = 3, 4
	s := startRelay(t, startServer(t, dir), config)
	s.greet()
	c := cursor{rest: s.ask(typeExtended, "limits@openssh.com").body}
	if got, want := [4]uint64{c.uint64(), c.uint64(), c.uint64(), c.uint64()}, [4]uint64{256 << 10, 255 << 10, 255 << 10, 3}; got != want {
		t.Errorf("limits %v, want %v", got, want)
	}
	var handles []string
	for i := range 3 {
		handles = append(handles, s.open(fmt.Sprint(i), flagRead))
	}
	if code, message := s.ask(typeOpen, "3", uint32(flagRead), noAttrs).status(); code != StatusFailure || !strings.Contains(message, "close some") {
		t.Errorf("a fourth file: %d %s", code, message)
	}
	s.ask(typeClose, handles[0])
	s.open("3", flagRead)
	// More requests than may be owed wait, and are all answered.
	var pipeline []byte
	for i := range uint32(500) {
		pipeline = append(pipeline, packet(typeRead, 100+i, handles[1], uint64(0), uint32(10))...)
	}
	go func() { _, _ = s.conn.Write(pipeline) }()
	for i := range uint32(500) {
		if p := s.receive(); p.id != 100+i || p.text() != "x" {
			t.Fatalf("answer %d: %+v", i, p)
		}
	}
	s.leave(t)
}

func TestDenialAfterEarlierAnswers(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	r := newRoad(script{Deny: []string{"remove *"}})
	s := startRelay(t, target, configOf(r))
	s.send(initPacket(version))
	fake.welcome()
	s.receive()
	s.send(packet(typeStat, 1, "a"), packet(typeRemove, 2, "b"), packet(typeStat, 3, "c"), packet(typeRemove, 4, "d"))
	if a, c := fake.receive(), fake.receive(); a.id != 1 || c.id != 3 {
		t.Fatalf("the target sees %d, %d", a.id, c.id)
	}
	attrs := func(id uint32) []byte { return packet(typeAttrs, id, noAttrs) }
	fake.send(attrs(3), attrs(1))
	var order []uint32
	for range 4 {
		order = append(order, s.receive().id)
	}
	if want := []uint32{3, 1, 2, 4}; !slices.Equal(order, want) {
		t.Errorf("answers in the order %v, want %v: the target's pass at once, a denial when all before it are answered", order, want)
	}
}
