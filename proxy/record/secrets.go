// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import "strings"

// redacted stands where a secret was.
const redacted = "[redacted]"

// redact takes out of s what is known by its shape to be a secret: literals
// after PASSWORD and IDENTIFIED BY, values of password=, secret= and token=,
// passwords in URLs, bearer tokens and JSON Web Tokens. It returns s itself
// where there is none.
//
// It is the second line of defence: whoever makes an Event knows its protocol
// and takes secrets out first. It works on what is shown, so a secret cut off
// by the limit is taken out up to the end.
func redact(s string) string {
	var out []byte
	start := 0
	for i := 0; i < len(s); {
		if !marked(s, i) {
			i++
			continue
		}
		from, to := secretAt(s, i)
		if to <= from {
			i++
			continue
		}
		out = append(append(out, s[start:from]...), redacted...)
		start, i = to, to
	}
	if start == 0 {
		return s
	}
	return string(append(out, s[start:]...))
}

// markers holds, for the first byte of each marker of secretAt, the second and
// the third, in lower case.
var markers = [256][2]byte{
	'p': {'a', 's'}, 'i': {'d', 'e'}, 's': {'e', 'c'}, 't': {'o', 'k'}, 'b': {'e', 'a'}, 'e': {'y', 'j'}, ':': {'/', '/'},
	'P': {'a', 's'}, 'I': {'d', 'e'}, 'S': {'e', 'c'}, 'T': {'o', 'k'}, 'B': {'e', 'a'},
}

// marked says whether s[i:] begins like one of the markers of secretAt: few
// strings do, so that few are looked at more closely.
func marked(s string, i int) bool {
	next := markers[s[i]]
	return next[0] != 0 && i+2 < len(s) && s[i+1]|0x20 == next[0] && s[i+2]|0x20 == next[1]
}

// secretAt returns the extent of the secret that a marker at s[i:] announces,
// or an empty extent.
func secretAt(s string, i int) (from, to int) {
	switch s[i] | 0x20 {
	case 'p':
		if hasFold(s[i:], "password") {
			return valueAfter(s, i+len("password"), true)
		}
		if hasFold(s[i:], "passwd") {
			return valueAfter(s, i+len("passwd"), true)
		}
	case 'i':
		if hasFold(s[i:], "identified by") {
			return valueAfter(s, i+len("identified by"), true)
		}
	case 's':
		if hasFold(s[i:], "secret") {
			return valueAfter(s, i+len("secret"), false)
		}
	case 't':
		if hasFold(s[i:], "token") {
			return valueAfter(s, i+len("token"), false)
		}
	case 'b':
		if hasFold(s[i:], "bearer ") {
			from = i + len("bearer ")
			if to = tokenEnd(s, from); to-from >= 16 {
				return from, to
			}
		}
	case 'e':
		if strings.HasPrefix(s[i:], "eyJ") && (i == 0 || !tokenByte(s[i-1])) {
			to = tokenEnd(s, i)
			if strings.Count(s[i:to], ".") >= 2 || to == len(s) && to-i >= 16 {
				return i, to
			}
		}
	case ':':
		if strings.HasPrefix(s[i:], "://") {
			return userinfo(s, i+len("://"))
		}
	}
	return 0, 0
}

// valueAfter finds the value after a marker that ends at i. A quoted literal
// counts after blanks and an equals sign; a bare word only after an equals
// sign or colon, so that "PASSWORD NULL" and prose stay. Where loose is false
// there must be no blanks.
func valueAfter(s string, i int, loose bool) (from, to int) {
	// password_hash and the like: the marker is but a part of a name, whose
	// value may be as secret.
	for i < len(s) && (s[i] == '_' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] == '"') {
		i++
	}
	assigned := false
	for ; i < len(s); i++ {
		blank := s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r'
		switch {
		case blank && loose && (!assigned || s[i-1] != ':'):
		case !assigned && (s[i] == '=' || s[i] == ':' && i+1 < len(s) && s[i+1] != ' '):
			assigned = true
		default:
			return literal(s, i, assigned)
		}
	}
	return 0, 0
}

// literal is the extent of the value that begins at i.
func literal(s string, i int, assigned bool) (from, to int) {
	q := i
	for q < len(s) && q-i < 2 && strings.IndexByte("eEnNuUxXbB&", s[q]) >= 0 {
		q++
	}
	if q < len(s) && (s[q] == '\'' || s[q] == '"' || s[q] == '$') {
		if end := quoteEnd(s, q); end > q {
			return i, end
		}
	}
	if !assigned || s[i] == '$' || s[i] == '?' {
		return 0, 0 // a parameter, not a value
	}
	to = i
	for to < len(s) && strings.IndexByte(" \t\r\n;&", s[to]) < 0 {
		if end := quoteEnd(s, to); end > to {
			to = end
			continue
		}
		to++
	}
	return i, to
}

// quoteEnd is the end of the quoted literal that begins at i, the end of s
// where it does not end, or i where none begins.
func quoteEnd(s string, i int) int {
	mark := s[i : i+1]
	switch s[i] {
	case '\'', '"':
	case '$':
		n := strings.IndexByte(s[i+1:], '$')
		if n < 0 || strings.ContainsAny(s[i+1:i+1+n], " \t\r\n'\"(),;") || n > 0 && s[i+1] >= '0' && s[i+1] <= '9' {
			return i
		}
		mark = s[i : i+n+2]
	default:
		return i
	}
	for at := i + len(mark); at < len(s); {
		n := strings.Index(s[at:], mark)
		if n < 0 {
			break
		}
		at += n + len(mark)
		escaped := s[at-len(mark)-1] == '\\' && at-len(mark)-1 > i
		if len(mark) > 1 || !escaped && !strings.HasPrefix(s[at:], mark) {
			return at
		}
		if !escaped {
			at += len(mark) // a doubled quote
		}
	}
	return len(s)
}

// userinfo is the extent of the password in "user:password@host".
func userinfo(s string, i int) (from, to int) {
	for to = i; to < len(s) && strings.IndexByte(" \t\r\n/?#'\"<>", s[to]) < 0; to++ {
		switch {
		case s[to] == ':' && from == 0:
			from = to + 1
		case s[to] == '@':
			if from == 0 {
				return 0, 0
			}
			return from, to
		}
	}
	return 0, 0
}

func tokenEnd(s string, i int) int {
	for i < len(s) && tokenByte(s[i]) {
		i++
	}
	return i
}

func tokenByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~+/=", c) >= 0
}

// hasFold says whether s begins with prefix, ASCII letters in any case. Prefix
// is in lower case.
func hasFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// secretName says whether an attribute's name announces a secret value.
func secretName(name string) bool {
	for i := range len(name) {
		for _, word := range [...]string{"password", "passwd", "secret", "token", "authorization", "cookie", "credential"} {
			if hasFold(name[i:], word) {
				return true
			}
		}
	}
	return false
}
