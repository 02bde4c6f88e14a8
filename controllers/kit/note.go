// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"fmt"
	"unicode/utf8"

	"github.com/doorward/doorward/proxy/record"
)

// maxNote is the number of bytes of an Event's note that the API server takes; the
// recorder drops a longer one and says so to nobody.
const maxNote = 1024

// Note is the note of an Event: nothing that others wrote in it deceives its readers, or
// has the Event dropped for its length.
func Note(format string, args ...any) string {
	// What is neutralised grows, and records would cut it by their own bound.
	text := firstBytes(fmt.Sprintf(format, args...), maxNote)
	return firstBytes(record.Visible(text), maxNote)
}

// firstBytes cuts a text to a number of bytes, not within a character.
func firstBytes(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for end := limit; end > limit-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return text[:end]
		}
	}
	return text[:limit] // not UTF-8: anywhere
}
