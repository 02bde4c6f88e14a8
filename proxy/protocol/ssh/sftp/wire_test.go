// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// wire speaks raw packets.
type wire struct {
	t    *testing.T
	conn net.Conn
	next uint32
}

func (w *wire) send(packets ...[]byte) {
	w.t.Helper()
	var all []byte
	for _, p := range packets {
		all = append(all, p...)
	}
	if _, err := w.conn.Write(all); err != nil {
		w.t.Fatalf("send: %v", err)
	}
}

// packetIn is a received packet; body is what follows the id.
type packetIn struct {
	kind byte
	id   uint32
	body []byte
}

func (w *wire) receive() packetIn {
	w.t.Helper()
	p, err := w.tryReceive()
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return p
}

func (w *wire) tryReceive() (packetIn, error) { return readPacket(w.conn) }

func readPacket(r io.Reader) (packetIn, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return packetIn{}, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-minPacket)
	_, err := io.ReadFull(r, body)
	return packetIn{kind: head[4], id: binary.BigEndian.Uint32(head[5:]), body: body}, err
}

// status is the code and message of a STATUS.
func (p packetIn) status() (Status, string) {
	if p.kind != typeStatus {
		return 0xffff, fmt.Sprintf("a packet of type %d", p.kind)
	}
	c := cursor{rest: p.body}
	code := Status(c.uint32())
	return code, string(c.bytes(1<<20, "message"))
}

// text is the first string of a HANDLE, DATA, or of a NAME's first name.
func (p packetIn) text() string {
	c := cursor{rest: p.body}
	if p.kind == typeName {
		c.uint32()
	}
	return string(c.bytes(1<<20, "text"))
}

func (w *wire) greet() map[string]string {
	w.t.Helper()
	w.send(initPacket(version))
	p := w.receive()
	if p.kind != typeVersion || p.id != version {
		w.t.Fatalf("type %d, version %d", p.kind, p.id)
	}
	found := map[string]string{}
	for c := (&cursor{rest: p.body}); len(c.rest) > 0; {
		name := string(c.bytes(1000, "name"))
		found[name] = string(c.bytes(1000, "version"))
	}
	return found
}

func initPacket(v uint32) []byte { return closePacket(appendPacket(nil, typeInit, v)) }

// packet makes one of any fields: string, []byte, uint32, uint64.
func packet(kind byte, id uint32, fields ...any) []byte {
	b := appendPacket(nil, kind, id)
	for _, field := range fields {
		switch v := field.(type) {
		case string:
			b = appendText(b, v)
		case []byte:
			b = appendText(b, string(v))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case byte:
			b = append(b, v)
		default:
			panic(fmt.Sprintf("a field of type %T", field))
		}
	}
	return closePacket(b)
}

const noAttrs = uint32(0)

// ask sends a request with an id of its own and waits for the one answer.
func (w *wire) ask(kind byte, fields ...any) packetIn {
	w.t.Helper()
	w.next++
	w.send(packet(kind, w.next, fields...))
	p := w.receive()
	if p.id != w.next {
		w.t.Fatalf("an answer to %d where %d was asked", p.id, w.next)
	}
	return p
}

// open opens a file and returns its handle.
func (w *wire) open(name string, flags uint32) string {
	w.t.Helper()
	p := w.ask(typeOpen, name, flags, noAttrs)
	if p.kind != typeHandle {
		code, message := p.status()
		w.t.Fatalf("open %q: %d %s", name, code, message)
	}
	return p.text()
}

func writeFile(tb testing.TB, name, content string) string {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

// directory is a temporary one with no link on its way.
func directory(tb testing.TB) string {
	tb.Helper()
	d, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
