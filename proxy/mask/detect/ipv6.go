// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

var ipv6Bytes = charsOf(decimal, "abcdefABCDEF:.")

// maxIPv6 is the length of the longest form (RFC 4291 section 2.2).
const maxIPv6 = 45

// ipv6 checks for an IPv6 address: eight groups, or fewer with two colons. What
// names of program scopes look like, such as "a::b", is none.
func ipv6(v view, i int) (m match, verdict verdict) {
	if i > v.floor && word[v.before(i, 1)] || v.before(i, 1) == ':' && (v.before(i, 2) == ':' || v.v[i] == ':') {
		return m, no
	}
	head, verdict := v.run(i, 5, hexDigits)
	if verdict == more || head == len(v.v) {
		return m, v.ended()
	}
	if v.v[head] != ':' {
		return m, no
	}
	end, verdict := v.run(i, maxIPv6+1, ipv6Bytes)
	if verdict == more {
		return m, more
	}
	stop := end
	for end > i && (v.v[end-1] == '.' || v.v[end-1] == ':' && (end-2 < i || v.v[end-2] != ':')) {
		end--
	}
	if end-i < 3 || end-i > maxIPv6 || !isIPv6(v.v[i:end]) {
		return m, no
	}
	if end == stop {
		if verdict = v.boundary(end); verdict != yes {
			return m, verdict
		}
	}
	return match{start: i, end: end, detector: iIPAddress}, yes
}

// isIPv6 parses an address.
func isIPv6(text []byte) bool {
	groups, double, digit := 0, false, false
	for i := 0; i < len(text); {
		if text[i] == ':' {
			// One colon was taken with the group before it.
			if double || i+1 < len(text) && i == 0 && text[1] != ':' {
				return false
			}
			double = true
			i++
			if i < len(text) && i == 1 {
				i++
			}
			continue
		}
		begin := i
		for i < len(text) && hexDigits[text[i]] {
			digit = digit || digits[text[i]]
			i++
		}
		if i < len(text) && text[i] == '.' {
			return (double && groups <= 6 || groups == 6) && isIPv4(text[begin:])
		}
		if i-begin > 4 || i == begin {
			return false
		}
		groups++
		if i < len(text) {
			i++
			if i == len(text) {
				return false
			}
		}
	}
	if double {
		return groups > 0 && groups < 8 && (digit || groups > 2)
	}
	return groups == 8
}

func isIPv4(text []byte) bool {
	parts, value, length := 1, 0, 0
	for _, c := range text {
		switch {
		case c == '.' && length > 0:
			parts, value, length = parts+1, 0, 0
		case digits[c]:
			value, length = value*10+int(c-'0'), length+1
			if value > 255 || length > 3 {
				return false
			}
		default:
			return false
		}
	}
	return parts == 4 && length > 0
}
