// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import "time"

// TimeSize is the number of bytes of a time in a record: RFC 3339 in UTC with
// all nine digits of the second's fraction.
const TimeSize = len("2006-01-02T15:04:05.000000000Z")

// appendTime appends a time by hand, which takes a third of time.AppendFormat.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(appendDigits(dst, year, 4), '-')
	dst = append(appendDigits(dst, int(month), 2), '-')
	dst = append(appendDigits(dst, day, 2), 'T')
	dst = append(appendDigits(dst, hour, 2), ':')
	dst = append(appendDigits(dst, minute, 2), ':')
	dst = append(appendDigits(dst, second, 2), '.')
	return append(appendDigits(dst, t.Nanosecond(), 9), 'Z')
}

// appendDigits appends the last digits of a number; always as many as asked
// for, since a head's size is known before its time.
func appendDigits(dst []byte, n, digits int) []byte {
	n = max(n, 0)
	dst = append(dst, "000000000"[:digits]...)
	for i := len(dst) - 1; digits > 0; i, digits = i-1, digits-1 {
		dst[i] = '0' + byte(n%10)
		n /= 10
	}
	return dst
}

// readTime reads what appendTime appends.
func readTime(text []byte) (time.Time, bool) {
	const form = "0000-00-00T00:00:00.000000000Z"
	if len(text) != len(form) {
		return time.Time{}, false
	}
	for i := range form {
		if c := text[i]; form[i] == '0' && (c < '0' || c > '9') || form[i] != '0' && c != form[i] {
			return time.Time{}, false
		}
	}
	number := func(from, to int) (n int) {
		for _, c := range text[from:to] {
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day, hour, minute, second := number(0, 4), number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)
	t := time.Date(year, time.Month(month), day, hour, minute, second, number(20, 29), time.UTC)
	// A date that there is not becomes another.
	return t, t.Month() == time.Month(month) && t.Day() == day && t.Hour() == hour && t.Minute() == minute && t.Second() == second
}
