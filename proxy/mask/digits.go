// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"unicode"
	"unicode/utf8"
)

// stream gives keyed decimal digits that depend on one whole value. The digest
// of the value is its state; when it is used up, the digest of that is the next.
type stream struct {
	s   *scratch
	sum []byte
	at  int
}

func (s *scratch) stream(value []byte) stream {
	return stream{s: s, sum: s.digest(forDigits, value)}
}

// next is a digit from 0 to 9, each as likely as the others.
func (d *stream) next() byte {
	for {
		if d.at == len(d.sum) {
			d.s.other = append(d.s.other[:0], d.sum...)
			d.sum, d.at = d.s.digest(forMore, d.s.other), 0
		}
		b := d.sum[d.at]
		d.at++
		if b < 250 {
			return b % 10
		}
	}
}

// digits replaces each decimal digit of a text, of whatever script, by another
// of the same script, and keeps everything else. What has no digit would be left
// as it is, so it is redacted, as is what has numbers that are no digits (such as
// superscripts) or is not UTF-8.
func (k *keyed) digits(dst, value []byte) []byte {
	found := false
	for rest := value; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size <= 1 || r >= utf8.RuneSelf && unicode.Is(unicode.No, r) || unicode.Is(unicode.Nl, r) {
			return append(dst, redacted...)
		}
		found = found || '0' <= r && r <= '9' || r >= utf8.RuneSelf && unicode.IsDigit(r)
		rest = rest[size:]
	}
	if !found {
		return append(dst, redacted...)
	}
	s := k.take()
	defer k.give(s)
	d := s.stream(value)
	for rest := value; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case '0' <= r && r <= '9':
			dst = append(dst, '0'+d.next())
		case r >= utf8.RuneSelf && unicode.IsDigit(r):
			dst = utf8.AppendRune(dst, zeroOf(r)+rune(d.next()))
		default:
			dst = append(dst, rest[:size]...)
		}
		rest = rest[size:]
	}
	return dst
}

// zeroOf is the zero of the script that a digit belongs to: Unicode has each
// script's ten digits in a row.
func zeroOf(digit rune) rune {
	for _, r := range unicode.Nd.R16 {
		if rune(r.Lo) <= digit && digit <= rune(r.Hi) {
			return digit - (digit-rune(r.Lo))%10
		}
	}
	for _, r := range unicode.Nd.R32 {
		if rune(r.Lo) <= digit && digit <= rune(r.Hi) { //nolint:gosec // code points
			return digit - (digit-rune(r.Lo))%10 //nolint:gosec // code points
		}
	}
	return digit
}
