// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"unicode/utf8"
)

// The bounds of an address (RFC 5321 section 4.5.3.1).
const (
	maxLocal  = 64
	maxDomain = 255
	maxLabel  = 63
)

var (
	// local are the bytes of a local part (RFC 5322 atext and beyond ASCII, RFC
	// 6531), without those that more often stand before an address: = / ? { | }.
	local = beyondASCII(charsOf(upper, lower, decimal, "._%+-'&~#$!*^`"))
	label = beyondASCII(charsOf(upper, lower, decimal, "-"))
	alnum = beyondASCII(charsOf(upper, lower, decimal, "_"))
	// domain are the bytes of a domain name.
	domain = beyondASCII(charsOf(upper, lower, decimal, "-."))
)

func beyondASCII(c *charset) *charset {
	for b := utf8.RuneSelf; b < len(c); b++ {
		c[b] = true
	}
	return c
}

// email checks the at sign at i, which is size bytes long.
func email(v view, i, size int) (m match, verdict verdict) {
	start := i
	for start > v.floor && i-start < maxLocal && local[v.v[start-1]] {
		start--
	}
	for start < i && (!alnum[v.v[start]] || !utf8.RuneStart(v.v[start])) {
		start++
	}
	if !utf8.Valid(v.v[start:i]) {
		// Another encoding, or no text at all: only what is ASCII counts.
		for start = i; start > v.floor && i-start < maxLocal && local[v.v[start-1]] && v.v[start-1] < utf8.RuneSelf; {
			start--
		}
		for start < i && !alnum[v.v[start]] {
			start++
		}
	}
	if start == i || v.v[i-1] == '.' {
		return m, no
	}
	begin := i + size
	end, verdict := v.run(begin, maxDomain+1, domain)
	if verdict == more {
		return m, more
	}
	name := v.v[begin:end]
	if len(name) > maxDomain {
		return m, no
	}
	if !utf8.Valid(name) {
		name = name[:asciiPrefix(name)]
	}
	// What follows a domain, such as the stop of a sentence, may look like it.
	for {
		name = bytes.TrimRight(name, ".-")
		dot := bytes.LastIndexByte(name, '.')
		if dot <= 0 {
			return m, no
		}
		if topLevel(name[dot+1:]) && labels(name[:dot]) {
			return match{start: start, end: begin + len(name), detector: iEmail}, yes
		}
		name = name[:dot]
	}
}

// asciiPrefix is how many bytes are ASCII at the beginning of a text.
func asciiPrefix(text []byte) int {
	for i, c := range text {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(text)
}

// labels says whether all labels of a name are well formed.
func labels(name []byte) bool {
	length := 0
	for i, c := range name {
		if c == '.' {
			if length == 0 || name[i-1] == '-' {
				return false
			}
			length = 0
			continue
		}
		length++
		if length > maxLabel || !label[c] || length == 1 && c == '-' {
			return false
		}
	}
	return length > 0
}

// topLevel says whether a label can be the last of a domain: letters, at least
// two, and no ending of the files that have an at sign in their names.
func topLevel(name []byte) bool {
	if len(name) < 2 || len(name) > maxLabel {
		return false
	}
	if len(name) > 4 && string(name[:4]) == "xn--" {
		return true
	}
	for _, c := range name {
		if c < utf8.RuneSelf && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	switch string(name) {
	case "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "html", "json":
		return false
	}
	return true
}
