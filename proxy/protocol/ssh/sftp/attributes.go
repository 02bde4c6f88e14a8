// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"fmt"
	"strings"
	"time"
)

// The flags of attributes (draft-ietf-secsh-filexfer-02, section 5).
const (
	attrSize        = 0x1
	attrOwner       = 0x2
	attrPermissions = 0x4
	attrTimes       = 0x8
	attrExtended    = 0x80000000
)

// setID are the bits of a mode that lend a program its owner's or group's rights.
const setID = 0o6000

// attributes are those of a file, each valid where its flag is set.
type attributes struct {
	flags        uint32
	size         uint64
	uid, gid     uint32
	permissions  uint32
	atime, mtime uint32
}

func (c *cursor) attributes() attributes {
	a := attributes{flags: c.uint32()}
	if unknown := a.flags &^ (attrSize | attrOwner | attrPermissions | attrTimes); unknown != 0 && c.err == nil {
		// Extended attributes are of the server's own meaning.
		c.err = fmt.Errorf("%w: attributes with flags %#x", errUnknown, unknown)
		c.rest = nil
		return a
	}
	if a.flags&attrSize != 0 {
		a.size = c.uint64()
	}
	if a.flags&attrOwner != 0 {
		a.uid, a.gid = c.uint32(), c.uint32()
	}
	if a.flags&attrPermissions != 0 {
		a.permissions = c.uint32()
	}
	if a.flags&attrTimes != 0 {
		a.atime, a.mtime = c.uint32(), c.uint32()
	}
	return a
}

// describe appends the attributes as text, all of them: approvers see nothing else.
func (a *attributes) describe(to *strings.Builder) {
	if a.flags&attrOwner != 0 {
		fmt.Fprintf(to, " owner=%d:%d", a.uid, a.gid)
	}
	if a.flags&attrPermissions != 0 {
		fmt.Fprintf(to, " permissions=%#o", a.permissions)
	}
	if a.flags&attrSize != 0 {
		fmt.Fprintf(to, " size=%d", a.size)
	}
	if a.flags&attrTimes != 0 {
		fmt.Fprintf(to, " accessed=%s modified=%s", stamp(a.atime), stamp(a.mtime))
	}
}

func stamp(seconds uint32) string { return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339) }

// properties appends the names of what the attributes set.
func (a *attributes) properties(to []string) []string {
	for _, p := range [...]struct {
		flag uint32
		name string
	}{{attrOwner, PropertyOwner}, {attrPermissions, PropertyPermissions}, {attrSize, PropertySize}, {attrTimes, PropertyTimes}} {
		if a.flags&p.flag != 0 {
			to = append(to, p.name)
		}
	}
	if a.setsID() {
		to = append(to, PropertySetID)
	}
	return to
}

func (a *attributes) setsID() bool { return a.flags&attrPermissions != 0 && a.permissions&setID != 0 }
