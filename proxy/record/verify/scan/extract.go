// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

const (
	// start is what every record begins with, whatever its version.
	start = `{"schema":"doorward.dev/record/`
	// word is part of the beginning in every way of escaping JSON.
	word = "doorward.dev"
)

// found is a record in a line.
type found struct {
	position record.Position
	json     []byte
	// broken says that it begins as a record does and does not end as one.
	broken bool
}

// extract appends the records of a line, without its line feed.
func extract(dst []found, line []byte) []found {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if bytes.HasPrefix(line, []byte(start)) {
		return native(dst, line)
	}
	if !bytes.Contains(line, []byte(word)) {
		return dst
	}
	if first := bytes.TrimLeft(line, " \t\ufeff"); len(first) > 0 && (first[0] == '{' || first[0] == '[') && json.Valid(first) {
		return quoted(dst, first)
	}
	at := bytes.Index(line, []byte(start))
	if at < 0 {
		return dst
	}
	text := line[at:]
	if end := objectEnd(text); end >= 0 {
		text = text[:end]
	}
	return native(dst, text)
}

// native appends text that begins as a record does. Text whose beginning is
// damaged names no record, so it is none.
func native(dst []found, text []byte) []found {
	position, err := record.Head(text)
	if err != nil || len(text) > record.MaxSize {
		return dst
	}
	return append(dst, found{position: position, json: text, broken: objectEnd(text) != len(text)})
}

// objectEnd is where the JSON object that text begins with ends; -1 where it
// does not end in text. It is no check of the JSON, which would take longer than
// all the rest: bytes that are not what was signed show in their hash.
func objectEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			depth--
			if depth == 0 {
				return i + 1
			}
		case '"':
			for i++; ; {
				n := bytes.IndexByte(text[i:], '"')
				if n < 0 {
					return -1
				}
				i += n
				if escapes := n - len(bytes.TrimRight(text[i-n:i], `\`)); escapes%2 == 0 {
					break
				}
				i++
			}
		}
	}
	return -1
}

// quoted appends the strings of a JSON line that are records. A string that
// also stands inside such a record is what a caller said, not a record.
func quoted(dst []found, line []byte) []found {
	var candidates []found
	eachString(line, func(s string) {
		s = strings.TrimSpace(s)
		if !strings.HasPrefix(s, start) {
			return
		}
		if f := native(nil, []byte(s)); len(f) == 1 && !f[0].broken {
			candidates = append(candidates, f[0])
		}
	})
	if len(candidates) < 2 {
		return append(dst, candidates...)
	}
	said := map[string]bool{}
	for _, c := range candidates {
		eachString(c.json, func(s string) {
			if s = strings.TrimSpace(s); strings.HasPrefix(s, start) {
				said[s] = true
			}
		})
	}
	return append(dst, slices.DeleteFunc(candidates, func(c found) bool { return said[string(c.json)] })...)
}

// eachString calls visit for every string in valid JSON that may hold a
// record, at any depth, in order.
func eachString(data []byte, visit func(string)) {
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		end := i + 1
		for end < len(data) && data[end] != '"' {
			if data[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(data) {
			return
		}
		text := data[i : end+1]
		i = end
		var s string
		if bytes.Contains(text, []byte(word)) && json.Unmarshal(text, &s) == nil {
			visit(s)
		}
	}
}
