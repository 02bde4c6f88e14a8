// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import "bytes"

// body are the bytes of what stands between the lines of a key: base64, headers,
// line ends that are written as \n.
var body = charsOf(upper, lower, decimal, "+/=_-:,.@()\"\\ \t\r\n")

// maxHeading bounds the first line of a key, in bytes.
const maxHeading = 80

// shortestKey is the least that a key without its end has in one piece, in base64
// digits; less is somebody who writes about keys.
const shortestKey = 32

var (
	heading    = charsOf(upper, decimal, " ")
	privateKey = []byte("PRIVATE KEY")
)

// pem checks for a private key at i, a hyphen: PEM (RFC 7468) of any kind, that of
// OpenSSH and OpenPGP too, and that of SSH2 (RFC 4716). A key without its end goes
// as far as its form does.
func pem(v view, i int) (m match, verdict verdict) {
	dashes, ending := "-----", "-----END "
	verdict = v.follows(i, "-----BEGIN ", false)
	if verdict == no {
		dashes, ending = "----", "---- END "
		verdict = v.follows(i, "---- BEGIN ", false)
	}
	if verdict != yes {
		return m, verdict
	}
	at, verdict := v.run(i+len(ending)+2, maxHeading, heading)
	if verdict == more {
		return m, more
	}
	if !bytes.Contains(v.v[i:at], privateKey) {
		return m, no
	}
	if verdict = v.follows(at, dashes, false); verdict != yes {
		return m, verdict
	}
	at += len(dashes)
	bound := i + MaxFinding
	stop, verdict := v.run(at, bound-at, body)
	m = match{start: i, end: stop, detector: iPrivateKey}
	if begin := bytes.Index(v.v[at:stop], []byte(ending)); begin >= 0 {
		begin += at + len(ending)
		if length := bytes.Index(v.v[begin:stop], []byte(dashes)); length >= 0 {
			m.end = begin + length + len(dashes)
			return m, yes
		}
	}
	switch {
	case verdict == more:
		return m, more
	case !keyMaterial(v.v[at:stop]):
		return m, no
	case stop == bound:
		m.open = body
	default:
		m.end = at + len(bytes.TrimRight(v.v[at:stop], " \t\r\n"))
	}
	return m, yes
}

// keyMaterial says whether a text has a run of base64 that is long enough.
func keyMaterial(text []byte) bool {
	run := 0
	for _, c := range text {
		if !base64std[c] {
			run = 0
			continue
		}
		run++
		if run >= shortestKey {
			return true
		}
	}
	return false
}

var (
	anything  = everything()
	puttyEnds = [][]byte{[]byte("Private-MAC:"), []byte("Private-Hash:")}
)

func everything() *charset {
	c := &charset{}
	for b := range c {
		c[b] = true
	}
	return c
}

// putty checks for a key file of PuTTY at i: from its first line to its last, the
// MAC or hash, or as far as a finding can go.
func putty(v view, i int) (m match, verdict verdict) {
	const head = "PuTTY-User-Key-File-"
	if verdict = v.follows(i, head, false); verdict != yes {
		return m, verdict
	}
	stop, verdict := v.run(i, MaxFinding, anything)
	m = match{start: i, end: stop, detector: iPrivateKey}
	for _, ending := range puttyEnds {
		at := bytes.Index(v.v[i:stop], ending)
		if at < 0 {
			continue
		}
		at += i + len(ending)
		for at < stop && v.v[at] == ' ' {
			at++
		}
		end, _ := v.run(at, stop-at, hexDigits)
		if end == stop && verdict == more {
			return m, more
		}
		m.end = end
		return m, yes
	}
	return m, verdict
}
