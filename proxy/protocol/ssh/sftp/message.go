// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"strconv"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// maxMessage bounds a message to the client, in bytes.
const maxMessage = 1 << 10

// neutral is a message as a terminal may show it: one line, whatever else draws or
// deceives made visible, and bounded.
func neutral(message string) string {
	var to strings.Builder
	for _, r := range message {
		if to.Len() > maxMessage {
			to.WriteString(" [cut off]")
			break
		}
		switch {
		case r == '\n':
			to.WriteByte(' ')
		case record.Deceives(r):
			to.WriteString(`\u{`)
			to.WriteString(strconv.FormatInt(int64(r), 16))
			to.WriteByte('}')
		default:
			to.WriteRune(r)
		}
	}
	return to.String()
}
