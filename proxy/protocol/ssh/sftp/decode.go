// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The errors of decoders. What is malformed is answered BAD_MESSAGE, what is unknown
// OP_UNSUPPORTED.
var (
	errMalformed = errors.New("malformed request")
	errUnknown   = errors.New("unknown request")
)

// cursor reads the fields of a packet. After an error it reads nothing more.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
	}
	c.rest = nil
}

func (c *cursor) uint32() uint32 {
	if len(c.rest) < 4 {
		c.fail("a field is cut off")
		return 0
	}
	v := binary.BigEndian.Uint32(c.rest)
	c.rest = c.rest[4:]
	return v
}

func (c *cursor) uint64() uint64 {
	if len(c.rest) < 8 {
		c.fail("a field is cut off")
		return 0
	}
	v := binary.BigEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v
}

// bytes reads a string of at most most bytes; the bytes are those of the packet.
func (c *cursor) bytes(most int, what string) []byte {
	n := c.uint32()
	switch {
	case c.err != nil:
		return nil
	case int64(n) > int64(len(c.rest)):
		c.fail("%s of %d bytes is cut off", what, n)
		return nil
	case int64(n) > int64(most):
		c.fail("%s of %d bytes, at most %d are taken", what, n, most)
		return nil
	}
	v := c.rest[:n:n]
	c.rest = c.rest[n:]
	return v
}

// path reads a path. Servers end a path at a NUL, so none may hold one.
func (c *cursor) path() string {
	v := string(c.bytes(maxPath-1, "a path"))
	if strings.IndexByte(v, 0) >= 0 {
		c.fail("a path holds a NUL")
		return ""
	}
	return v
}

func (c *cursor) handle() []byte { return c.bytes(maxHandle, "a handle") }

// end says that nothing may follow: a server that ignored it might read it otherwise.
func (c *cursor) end() {
	if c.err == nil && len(c.rest) > 0 {
		c.fail("%d bytes follow the last field", len(c.rest))
	}
}

// request is a decoded request; which fields are set hangs on its kind. It refers to the
// packet it was decoded from.
type request struct {
	kind byte
	// extension is the index in extensions where kind is typeExtended.
	extension int
	// paths are those of the packet, in its order; their number is that of the kind.
	paths   [2]string
	handles [2][]byte
	flags   uint32
	attrs   attributes
	// offsets and length are those of copy-data; ids the numbers asked for by
	// users-groups-by-id.
	offsets    [2]uint64
	length     uint64
	users      int
	groups     int
	unreadable string // the name of an unknown extension
}

// decodeRequest reads a whole packet of any type but READ and WRITE.
func decodeRequest(packet []byte) (request, error) {
	head, err := decodeHead(packet)
	if err != nil {
		return request{}, err
	}
	if head.size != len(packet) {
		return request{}, fmt.Errorf("%w: %d bytes of %d", errFraming, len(packet), head.size)
	}
	r := request{kind: head.kind}
	c := &cursor{rest: packet[headSize:]}
	switch head.kind {
	case typeOpen:
		r.paths[0] = c.path()
		r.flags = c.uint32()
		if c.err == nil && r.flags&^flagsKnown != 0 {
			c.err = fmt.Errorf("%w: flags %#x of an open", errUnknown, r.flags)
		}
		r.attrs = c.attributes()
	case typeSetstat, typeMkdir:
		r.paths[0] = c.path()
		r.attrs = c.attributes()
	case typeClose, typeFstat, typeReaddir:
		r.handles[0] = c.handle()
	case typeFsetstat:
		r.handles[0] = c.handle()
		r.attrs = c.attributes()
	case typeLstat, typeStat, typeOpendir, typeRemove, typeRmdir, typeRealpath, typeReadlink:
		r.paths[0] = c.path()
	case typeRename, typeSymlink:
		r.paths = [2]string{c.path(), c.path()}
	case typeExtended:
		err := r.decodeExtended(c)
		return r, err
	default:
		return r, fmt.Errorf("%w: a packet of type %d", errUnknown, head.kind)
	}
	c.end()
	return r, c.err
}

// decodeExtended reads what follows the id of an EXTENDED.
func (r *request) decodeExtended(c *cursor) error {
	r.extension = -1
	name := string(c.bytes(maxPath, "the name of an extension"))
	if c.err != nil {
		return c.err
	}
	r.extension = slices.IndexFunc(extensions[:], func(e extension) bool { return e.name == name })
	if r.extension < 0 {
		r.unreadable = name
		return fmt.Errorf("%w: extension %q", errUnknown, name)
	}
	switch r.extension {
	case extPosixRename, extHardlink:
		r.paths = [2]string{c.path(), c.path()}
	case extStatvfs, extExpandPath, extHomeDirectory:
		r.paths[0] = c.path()
	case extFstatvfs, extFsync:
		r.handles[0] = c.handle()
	case extLsetstat:
		r.paths[0] = c.path()
		r.attrs = c.attributes()
	case extLimits:
	case extCopyData:
		r.handles[0] = c.handle()
		r.offsets[0], r.length = c.uint64(), c.uint64()
		r.handles[1] = c.handle()
		r.offsets[1] = c.uint64()
	case extUsersGroups:
		users, groups := c.bytes(maxWhole, "a list"), c.bytes(maxWhole, "a list")
		if c.err == nil && (len(users)%4 != 0 || len(groups)%4 != 0) {
			c.fail("a list of ids is cut off")
		}
		r.users, r.groups = len(users)/4, len(groups)/4
	default:
		return fmt.Errorf("%w: extension %q", errUnknown, name)
	}
	c.end()
	return c.err
}

// transfer is the head of a READ or WRITE, whose fields are the same up to the data.
type transfer struct {
	handle []byte
	offset uint64
	length uint32
	// size is that of the head; data follows where it is a WRITE.
	size int
}

// maxTransferHead is the size of the longest head of a READ or WRITE.
const maxTransferHead = headSize + 4 + maxHandle + 8 + 4

// decodeTransfer reads the head of a READ or WRITE. The packet holds all of it, or
// maxTransferHead bytes.
func decodeTransfer(head packetHead, packet []byte) (transfer, error) {
	if len(packet) < headSize {
		return transfer{}, fmt.Errorf("%w: a head is cut off", errMalformed)
	}
	c := cursor{rest: packet[headSize:]}
	t := transfer{handle: c.handle(), offset: c.uint64(), length: c.uint32()}
	if c.err != nil {
		return transfer{}, c.err
	}
	t.size = len(packet) - len(c.rest)
	size := int64(t.size)
	if head.kind == typeWrite {
		size += int64(t.length)
	}
	if size != int64(head.size) {
		return transfer{}, fmt.Errorf("%w: %d bytes of data in a packet of %d", errMalformed, t.length, head.size)
	}
	return t, nil
}
