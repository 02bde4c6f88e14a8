// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
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
		"EmptyExtension":    {typeExtended, nil, StatusBadMessage, "posix-rename", "it has no name"},
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

func TestBreaches(t *testing.T) {
	head := func(length uint32) []byte { return []byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length), typeStat, 0, 0, 0, 9} }
	cases := map[string]struct {
		send   []byte
		reason string
	}{
		"SecondInit":   {initPacket(3), "the version is settled"},
		"Length0":      {head(0), "a packet has a type and an id"},
		"Length4":      {head(4), "a packet has a type and an id"},
		"LengthBeyond": {head(256<<10 + 1<<10 + 1), "longer than a packet may be"},
		"Length2G":     {head(1<<31 - 1), "longer than a packet may be"},
		"Length4G":     {head(1<<32 - 1), "longer than a packet may be"},
		"IdUsedTwice":  {slices.Concat(packet(typeStat, 7, "held"), packet(typeStat, 8, "."), packet(typeStat, 8, ".")), "which answer is whose could not be told"},
		"IdOfRead":     {slices.Concat(packet(typeStat, 7, "held"), packet(typeRead, 7, "h", uint64(0), uint32(1))), "which answer is whose could not be told"},
		"IdOfDenied":   {slices.Concat(packet(typeStat, 7, "held"), packet(typeStat, 8, "denied"), packet(typeStat, 8, ".")), "also where the relay answers"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			// The target never answers, so that what is sent stays unanswered.
			target, far := socketPair(t)
			fake := &wire{t: t, conn: far}
			r := newRoad(script{Deny: []string{"stat */denied"}})
			s := startRelay(t, target, configOf(r))
			s.send(initPacket(version))
			fake.welcome()
			s.receive()
			s.send(c.send)
			if err := s.end(); !errors.Is(err, ErrClient) {
				t.Errorf("%s: the session ends with %v", c.reason, err)
			}
			all := r.all()
			if !slices.ContainsFunc(all, func(d done) bool { return d.Operation.Kind == "malformed" }) {
				t.Errorf("the breach is not on record: %+v", all)
			}
			if r.unfinished() != 0 {
				t.Error("operations are not done")
			}
		})
	}
}

// welcome answers the relay's greeting as a target whose working directory is /home/user.
func (w *wire) welcome(extensions ...string) {
	w.t.Helper()
	w.receive()
	answer := appendPacket(nil, typeVersion, version)
	for _, e := range extensions {
		answer = appendText(answer, e)
	}
	w.send(closePacket(answer))
	w.send(packet(typeName, w.receive().id, uint32(1), "/home/user", "", noAttrs))
}

func TestGreeting(t *testing.T) {
	cases := map[string]struct {
		client []byte
		target [][]byte // the target's first packets
		who    error
		reason string
	}{
		"NotInit":     {packet(typeStat, 1, "."), nil, ErrClient, "a session begins with INIT"},
		"Version2":    {initPacket(2), nil, ErrClient, "version 3 alone is spoken"},
		"CutPair":     {packet(typeInit, 3, "name"), nil, ErrClient, "an extension has a version"},
		"Garbage":     {[]byte("GET / HTTP/1.1\r\n\r\n"), nil, ErrClient, "another protocol"},
		"Motd":        {initPacket(3), [][]byte{[]byte("Welcome to the server!\n")}, ErrTarget, "what a shell prints is no packet"},
		"Version4":    {initPacket(3), [][]byte{packet(typeVersion, 4)}, ErrTarget, "version 3 alone was asked for"},
		"Status":      {initPacket(3), [][]byte{packet(typeStatus, 0, uint32(4), "no", "")}, ErrTarget, "a VERSION comes first"},
		"TwoNames":    {initPacket(3), [][]byte{packet(typeVersion, 3), packet(typeName, 1, uint32(2), "/a", "", noAttrs, "/b", "", noAttrs)}, ErrTarget, "one directory was asked for"},
		"Relative":    {initPacket(3), [][]byte{packet(typeVersion, 3), packet(typeName, 1, uint32(1), "home", "", noAttrs)}, ErrTarget, "nothing can be decided on it"},
		"OtherID":     {initPacket(3), [][]byte{packet(typeVersion, 3), packet(typeName, 2, uint32(1), "/", "", noAttrs)}, ErrTarget, "that was not asked"},
		"NoDirectory": {initPacket(3), [][]byte{packet(typeVersion, 3), packet(typeStatus, 1, uint32(3), "no\x1b[2J", "")}, nil, "relative paths have no meaning then"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target, far := socketPair(t)
			s := startRelay(t, target, configOf(newRoad(script{})))
			s.send(c.client)
			for _, p := range c.target {
				if _, err := far.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			err := s.end()
			if err == nil || c.who != nil && !errors.Is(err, c.who) || strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	target, far := socketPair(t)
	fake := &wire{t: t, conn: far}
	s := startRelay(t, target, configOf(newRoad(script{})))
	s.send(closePacket(appendText(appendText(appendPacket(nil, typeInit, 6), "mine@example.com"), "1")))
	if p := fake.receive(); p.kind != typeInit || p.id != 3 || len(p.body) != 0 {
		t.Errorf("the target is greeted with %+v", p)
	}
	answer := appendPacket(nil, typeVersion, 3)
	for _, e := range []string{"newline@vandyke.com", "\n", "statvfs@openssh.com", "2", "posix-rename@openssh.com", "7", "copy-data", "1", "exec@example.com", "1"} {
		answer = appendText(answer, e)
	}
	fake.send(closePacket(answer))
	fake.send(packet(typeName, fake.receive().id, uint32(1), "/home/user", "", noAttrs))
	p := s.receive()
	found := ""
	for c := (&cursor{rest: p.body}); len(c.rest) > 0; {
		found += string(c.bytes(100, "")) + " "
	}
	if want := "statvfs@openssh.com 2 copy-data 1 "; p.id != 3 || found != want {
		t.Errorf("the client sees %q of version %d, want %q", found, p.id, want)
	}
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

func TestHeld(t *testing.T) {
	dir := directory(t)
	writeFile(t, filepath.Join(dir, "file"), "content")
	r := newRoad(script{})
	held, approved := make(chan struct{}), make(chan struct{})
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
	s := startSession(t, dir, r)
	s.send(packet(typeStat, 1, "file"), packet(typeRemove, 2, "file"), packet(typeStat, 3, "file"))
	<-held
	if p := s.receive(); p.id != 1 || p.kind != typeAttrs {
		t.Errorf("what was before is not answered while an operation is held: %+v", p)
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

