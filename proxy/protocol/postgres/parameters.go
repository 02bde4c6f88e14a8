// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxShownParameters is the size of a Bind's parameters, in bytes on the wire,
// up to which they are kept for approvers. What approvers are shown is bounded,
// and the statement must still find room in it.
const maxShownParameters = 2 << 10

// keepParameters returns the digest of the raw parameters of a Bind, and keeps
// them, or nothing of larger ones. Both are parts of one string.
func keepParameters(values []byte) (digest, kept string) {
	const name = "sha256:"
	const size = len(name) + 2*sha256.Size
	sum := sha256.Sum256(values)
	if len(values) > maxShownParameters {
		values = nil
	}
	var room [size + 256]byte
	text := append(hex.AppendEncode(append(room[:0], name...), sum[:]), values...)
	both := string(text)
	return both[:size], both[size:]
}

// showParameters renders the raw parameters of a Bind for an approver, such as
// $1 = 'refunded', $2 = NULL. The proxy does not know the types of binary
// values: it shows their bytes, and the number that integers of that size are.
// It is empty where nothing was kept.
func showParameters(raw string) string {
	b := body{rest: []byte(raw)}
	formats := make([]int, b.count("number of parameter formats"))
	for i := range formats {
		formats[i] = b.count("parameter format")
	}
	var shown []string
	for i := range b.count("number of parameters") {
		value := "NULL"
		if n := b.int32("parameter length"); n != -1 {
			format := 0
			if len(formats) == 1 {
				format = formats[0]
			} else if i < len(formats) {
				format = formats[i]
			}
			value = showParameter(format, b.bytes(n, "parameter"))
		}
		shown = append(shown, fmt.Sprintf("$%d = %s", i+1, value))
	}
	if b.err != nil {
		return ""
	}
	return strings.Join(shown, ", ")
}

func showParameter(format int, value []byte) string {
	if format == 0 {
		return "'" + strings.ReplaceAll(string(value), "'", "''") + "'"
	}
	text := `'\x` + hex.EncodeToString(value) + "' in binary"
	switch len(value) {
	case 2:
		return fmt.Sprintf("%s (%d as smallint)", text, int16(binary.BigEndian.Uint16(value))) //nolint:gosec // two's complement
	case 4:
		return fmt.Sprintf("%s (%d as integer)", text, int32(binary.BigEndian.Uint32(value))) //nolint:gosec // two's complement
	case 8:
		return fmt.Sprintf("%s (%d as bigint)", text, int64(binary.BigEndian.Uint64(value))) //nolint:gosec // two's complement
	}
	if printable(value) {
		text += " ('" + strings.ReplaceAll(string(value), "'", "''") + "' as text)"
	}
	return text
}

func printable(value []byte) bool {
	for _, c := range value {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
