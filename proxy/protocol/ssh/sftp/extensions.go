// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"encoding/binary"
	"fmt"
)

// extension is one that is understood (OpenSSH's PROTOCOL, section 4).
type extension struct {
	name, version string
	// answer is the type of the answer where it is not a STATUS; 0 where it always is.
	answer byte
}

// The indices of extensions.
const (
	extPosixRename = iota
	extStatvfs
	extFstatvfs
	extHardlink
	extFsync
	extLsetstat
	extLimits
	extExpandPath
	extCopyData
	extHomeDirectory
	extUsersGroups
	extensionCount
)

var extensions = [extensionCount]extension{
	extPosixRename:   {"posix-rename@openssh.com", "1", 0},
	extStatvfs:       {"statvfs@openssh.com", "2", typeExtendedReply},
	extFstatvfs:      {"fstatvfs@openssh.com", "2", typeExtendedReply},
	extHardlink:      {"hardlink@openssh.com", "1", 0},
	extFsync:         {"fsync@openssh.com", "1", 0},
	extLsetstat:      {"lsetstat@openssh.com", "1", 0},
	extLimits:        {"limits@openssh.com", "1", typeExtendedReply},
	extExpandPath:    {"expand-path@openssh.com", "1", typeName},
	extCopyData:      {"copy-data", "1", 0},
	extHomeDirectory: {"home-directory", "1", typeName},
	extUsersGroups:   {"users-groups-by-id@openssh.com", "1", typeExtendedReply},
}

// maxExtensions is how many extensions a peer may announce.
const maxExtensions = 256

// decodeVersion reads a whole INIT or VERSION and returns the version with those of the
// announced extensions that are understood.
func decodeVersion(packet []byte) (uint32, []extension, error) {
	head, err := decodeHead(packet)
	if err != nil {
		return 0, nil, err
	}
	var known []extension
	c := &cursor{rest: packet[headSize:]}
	for n := 0; len(c.rest) > 0; n++ {
		if n == maxExtensions {
			c.fail("more than %d extensions", maxExtensions)
			break
		}
		name, version := string(c.bytes(maxWhole, "the name of an extension")), string(c.bytes(maxWhole, "the version of an extension"))
		for _, e := range extensions {
			if c.err == nil && e.name == name && e.version == version {
				known = append(known, e)
			}
		}
	}
	return head.id, known, c.err
}

// versionPacket announces extensions.
func versionPacket(known []extension) []byte {
	b := appendPacket(nil, typeVersion, version)
	for _, e := range known {
		b = appendText(appendText(b, e.name), e.version)
	}
	return closePacket(b)
}

// limitsSize is the size of a whole answer to limits@openssh.com.
const limitsSize = headSize + 4*8

// narrowLimits lowers the limits of a whole answer to those of the relay, in place. Zero
// says that the server has none.
func narrowLimits(packet []byte, handles int) error {
	if len(packet) != limitsSize {
		return fmt.Errorf("%w: limits of %d bytes", errMalformed, len(packet))
	}
	const longest = 256 << 10
	for i, most := range [...]uint64{longest, longest - 1<<10, longest - 1<<10, uint64(handles)} { //nolint:gosec // a count
		field := packet[headSize+8*i:]
		if is := binary.BigEndian.Uint64(field); is == 0 || is > most {
			binary.BigEndian.PutUint64(field, most)
		}
	}
	return nil
}
