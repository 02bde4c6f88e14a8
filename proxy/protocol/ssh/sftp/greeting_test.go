// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestBreaches(t *testing.T) {
	head := func(length uint32) []byte {
		return []byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length), typeStat, 0, 0, 0, 9}
	}
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
