// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// maxDigits bounds the digits that are looked at together, maxGroups their groups.
const (
	maxDigits = 24
	maxGroups = 12
)

// number is digits in groups with one separator between two of them: a blank (in
// UTF-8 also one that does not break), a hyphen, a stop or a slash.
type number struct {
	start  int
	count  int
	groups [maxGroups]group
	digits [maxDigits]byte
}

// group is a run of digits: its end in the text, counted from the number's start,
// its place among the digits of the number, and the separator before it, 0 for
// the first.
type group struct {
	stop, from, to uint8
	separator      byte
}

// read reads the number that begins at i. No means that it is too long to be
// anything.
func (n *number) read(v view, i int) verdict {
	n.start = i
	total, separator := 0, byte(0)
	for n.count < maxGroups {
		end, verdict := v.run(i, maxDigits-total+1, digits)
		if verdict == more {
			return more
		}
		if end-i > maxDigits-total {
			break // what came before may be whole without this group
		}
		from := total
		total += copy(n.digits[total:], v.v[i:end])
		n.groups[n.count] = group{stop: uint8(end - n.start), from: uint8(from), to: uint8(total), separator: separator} //nolint:gosec // at most maxDigits with maxGroups separators
		n.count++
		if end == len(v.v) {
			break
		}
		size := 1
		separator = v.v[end]
		switch separator {
		case ' ', '-', '.', '/':
		case 0xC2:
			if end+1 == len(v.v) {
				if !v.final {
					return more
				}
			} else if v.v[end+1] == 0xA0 {
				size, separator = 2, ' '
			}
			if size == 1 {
				separator = 0
			}
		default:
			separator = 0
		}
		if separator == 0 {
			break
		}
		if end+size >= len(v.v) {
			if !v.final {
				return more
			}
			break
		}
		if !digits[v.v[end+size]] {
			break
		}
		i = end + size
	}
	if n.count == 0 {
		return no
	}
	return yes
}

func (n *number) length(i int) int { return int(n.groups[i].to - n.groups[i].from) }

// end is where group i ends in the text.
func (n *number) end(i int) int { return n.start + int(n.groups[i].stop) }

// uniform says whether the first k groups have one kind of separator.
func (n *number) uniform(k int) bool {
	for i := 2; i < k; i++ {
		if n.groups[i].separator != n.groups[1].separator {
			return false
		}
	}
	return true
}

// ends says whether something can end with group k-1: no word goes on there.
func (n *number) ends(v view, k int) verdict { return v.boundary(n.end(k - 1)) }

// goesOn says whether digits follow group k-1 after that separator.
func (n *number) goesOn(v view, k int, separator byte) bool {
	if k < n.count {
		return n.groups[k].separator == separator
	}
	end := n.end(k - 1)
	return end+1 < len(v.v) && v.v[end] == separator && digits[v.v[end+1]]
}

// preceded says whether a digit and one of the separators stand before a place.
func preceded(v view, i int, separators string) bool {
	before := v.before(i, 1)
	if !digits[v.before(i, 2)] {
		return false
	}
	for j := range len(separators) {
		if separators[j] == before {
			return true
		}
	}
	return false
}

// ipv4 checks for four numbers up to 255 (RFC 791) with stops between them. Those
// that begin with 0 are nobody's address.
func (n *number) ipv4(v view) (m match, verdict verdict) {
	if n.count < 4 || n.goesOn(v, 4, '.') || preceded(v, n.start, ".") {
		return m, no
	}
	for i := range 4 {
		value := 0
		for _, c := range n.digits[n.groups[i].from:n.groups[i].to] {
			value = value*10 + int(c-'0')
		}
		if n.length(i) > 3 || value > 255 || i == 0 && value == 0 || i > 0 && n.groups[i].separator != '.' {
			return m, no
		}
	}
	verdict = n.ends(v, 4)
	return match{start: n.start, end: n.end(3), detector: iIPAddress}, verdict
}

// ssn checks for a social security number of the United States: three, two and
// four digits with hyphens or blanks. Area 000, 666 and from 900 on, group 00 and
// serial 0000 are never given out (SSA, POMS RM 10201.035).
func (n *number) ssn(v view) (m match, verdict verdict) {
	if n.count < 3 || n.length(0) != 3 || n.length(1) != 2 || n.length(2) != 4 || !n.uniform(3) {
		return m, no
	}
	separator := n.groups[1].separator
	if separator != '-' && separator != ' ' || preceded(v, n.start, "-. ") || n.goesOn(v, 3, '-') {
		return m, no
	}
	area, part, serial := string(n.digits[:3]), string(n.digits[3:5]), string(n.digits[5:9])
	if area == "000" || area == "666" || area[0] == '9' || part == "00" || serial == "0000" {
		return m, no
	}
	verdict = n.ends(v, 3)
	return match{start: n.start, end: n.end(2), detector: iSSN}, verdict
}
