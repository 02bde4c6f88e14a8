// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"encoding/binary"
	"strconv"
)

// The types of packets (draft-ietf-secsh-filexfer-02, section 3).
const (
	typeInit          = 1
	typeVersion       = 2
	typeOpen          = 3
	typeClose         = 4
	typeRead          = 5
	typeWrite         = 6
	typeLstat         = 7
	typeFstat         = 8
	typeSetstat       = 9
	typeFsetstat      = 10
	typeOpendir       = 11
	typeReaddir       = 12
	typeRemove        = 13
	typeMkdir         = 14
	typeRmdir         = 15
	typeRealpath      = 16
	typeStat          = 17
	typeRename        = 18
	typeReadlink      = 19
	typeSymlink       = 20
	typeStatus        = 101
	typeHandle        = 102
	typeData          = 103
	typeName          = 104
	typeAttrs         = 105
	typeExtended      = 200
	typeExtendedReply = 201
)

// version is the one version that is spoken.
const version = 3

// Status is the code of an SSH_FXP_STATUS (draft-ietf-secsh-filexfer-02, section 7).
type Status uint32

// The codes.
const (
	StatusOK Status = iota
	StatusEOF
	StatusNoSuchFile
	StatusPermissionDenied
	StatusFailure
	StatusBadMessage
	StatusNoConnection
	StatusConnectionLost
	StatusOpUnsupported
)

var statusNames = [...]string{
	"SSH_FX_OK", "SSH_FX_EOF", "SSH_FX_NO_SUCH_FILE", "SSH_FX_PERMISSION_DENIED", "SSH_FX_FAILURE",
	"SSH_FX_BAD_MESSAGE", "SSH_FX_NO_CONNECTION", "SSH_FX_CONNECTION_LOST", "SSH_FX_OP_UNSUPPORTED",
}

// String is the code's name, or its number where it has none.
func (s Status) String() string {
	if int64(s) < int64(len(statusNames)) {
		return statusNames[s]
	}
	return strconv.FormatUint(uint64(s), 10)
}

// The flags of an OPEN.
const (
	flagRead     = 0x01
	flagWrite    = 0x02
	flagAppend   = 0x04
	flagCreate   = 0x08
	flagTruncate = 0x10
	flagExcl     = 0x20
	flagsKnown   = 0x3f
)

// Bounds, in bytes but for maxNames.
const (
	// maxPacket bounds the length of a packet, as OpenSSH's SFTP_MAX_MSG_LENGTH does, with
	// some headroom. A DATA may be as long as the READ asked for.
	maxPacket = 256<<10 + 1<<10
	// maxWhole bounds a packet that is held whole: every request but WRITE.
	maxWhole = 60 << 10
	// maxPath is PATH_MAX of most file systems, maxHandle the protocol's own bound.
	maxPath   = 4096
	maxHandle = 256
	// maxNames is the number of names in one NAME.
	maxNames = 16 << 10
	// minPacket is a type and an id, or a version.
	minPacket = 5
)

const (
	lengthSize = 4
	// headSize is the length, the type and the id.
	headSize = lengthSize + 1 + 4
)

// appendPacket appends the head of a packet whose length closePacket fills in.
func appendPacket(dst []byte, kind byte, id uint32) []byte {
	dst = append(dst, 0, 0, 0, 0, kind)
	return binary.BigEndian.AppendUint32(dst, id)
}

// closePacket fills in the length of the one packet in b.
func closePacket(b []byte) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-lengthSize)) //nolint:gosec // our own packets are small
	return b
}

func appendText(dst []byte, text string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(text))) //nolint:gosec // bounded by what it came in
	return append(dst, text...)
}

// statusPacket is an answer of the relay's own.
func statusPacket(id uint32, code Status, message string) []byte {
	b := appendPacket(make([]byte, 0, headSize+12+len(message)+2), typeStatus, id)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	b = appendText(b, message)
	return closePacket(appendText(b, "en"))
}

// realpathPacket and expandPacket are questions of the relay's own.
func realpathPacket(id uint32, path string) []byte {
	return closePacket(appendText(appendPacket(nil, typeRealpath, id), path))
}

func expandPacket(id uint32, path string) []byte {
	return closePacket(appendText(appendText(appendPacket(nil, typeExtended, id), extensions[extExpandPath].name), path))
}
