// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

// shownBytes bounds a caller's words in an error.
const shownBytes = 200

// Shorten bounds a caller's words, such as those of an unproven token, to 200
// bytes for an error.
func Shorten(text string) string {
	if len(text) <= shownBytes {
		return text
	}
	return text[:shownBytes] + "..."
}
