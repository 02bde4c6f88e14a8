// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"sync"
)

// maxHeader bounds the encoded header of a token, in bytes.
const maxHeader = 2048

var headers = sync.Pool{New: func() any { return new([maxHeader]byte) }}

// jwt checks for a JSON Web Token in compact form: three parts (RFC 7515) or five
// (RFC 7516), of which the first is a JSON object with "alg".
func jwt(v view, i int) (m match, verdict verdict) {
	// An opening brace and a quote, a blank or a line end.
	if verdict = v.follows(i, "ey", false); verdict == no {
		verdict = v.follows(i, "ew", false)
	}
	if verdict != yes {
		return m, verdict
	}
	at, verdict := v.run(i, maxHeader+1, base64url)
	if verdict == more {
		return m, more
	}
	if at == len(v.v) || v.v[at] != '.' || at-i > maxHeader {
		return m, no
	}
	head, bound := v.v[i:at], i+MaxFinding
	parts, end := 1, at
	for parts < 5 && at < len(v.v) && at < bound && v.v[at] == '.' {
		stop, verdict := v.run(at+1, bound-at-1, base64url)
		if verdict == more {
			return m, more
		}
		if parts >= 3 && stop == at+1 {
			break // the stop of a sentence
		}
		parts++
		at, end = stop, stop
	}
	if at == len(v.v) && !v.final && at < bound {
		return m, more
	}
	if parts < 3 && at < bound || !isHeader(head) {
		return m, no
	}
	m = match{start: i, end: end, detector: iJWT}
	if end == bound {
		m.open = jwtBytes
	}
	return m, yes
}

var jwtBytes = charsOf(upper, lower, decimal, "-_.")

// isHeader says whether a part decodes to the header of a token.
func isHeader(part []byte) bool {
	room := headers.Get().(*[maxHeader]byte) //nolint:forcetypeassert,errcheck // the pool's own New
	defer headers.Put(room)
	n, err := base64.RawURLEncoding.Decode(room[:], part)
	if err != nil {
		return false
	}
	text := room[:n]
	_, after, found := bytes.Cut(text, []byte(`"alg"`))
	after = bytes.TrimLeft(after, " \t\r\n")
	return found && len(after) > 0 && after[0] == ':' && json.Valid(text)
}
