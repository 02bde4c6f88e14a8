// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// dialled is a telephone number as it is written: digits in groups, between two
// of them up to three of blank, hyphen, stop, slash and brackets.
type dialled struct {
	digits [maxDigits]byte
	groups [maxGroups]dialledGroup
	count  int
}

// dialledGroup is a run of digits; separator is what stands before it, 0 for the
// first, ')' for anything with a closing bracket.
type dialledGroup struct {
	end       int
	from, to  uint8
	separator byte
}

// read reads groups of digits that begin at i, a digit or an opening bracket.
func (d *dialled) read(v view, i int) verdict {
	total, separator, open := 0, byte(0), false
	if v.v[i] == '(' {
		open = true
		i++
	}
	for d.count < maxGroups {
		end, verdict := v.run(i, maxDigits-total+1, digits)
		if verdict == more {
			return more
		}
		if end == i || end-i > maxDigits-total {
			break
		}
		from := total
		total += copy(d.digits[total:], v.v[i:end])
		d.groups[d.count] = dialledGroup{end: end, from: uint8(from), to: uint8(total), separator: separator} //nolint:gosec // at most maxDigits
		d.count++
		// What is between the groups.
		at, first := end, byte(0)
		for at < len(v.v) && at-end < 3 {
			c := v.v[at]
			if c == '(' && !open {
				open = true
			} else if c == ')' && open {
				open, first = false, ')'
			} else if c != ' ' && c != '-' && c != '.' && c != '/' {
				break
			}
			if first == 0 {
				first = c
			}
			at++
		}
		if at == len(v.v) && !v.final {
			return more
		}
		if at == end || at == len(v.v) || !digits[v.v[at]] {
			break
		}
		i, separator = at, first
	}
	if d.count == 0 {
		return no
	}
	return yes
}

func (d *dialled) length(i int) int { return int(d.groups[i].to - d.groups[i].from) }

// regular says whether the groups from the third to k have the separator of the
// third or, where it is not a bracket's or a slash, of the second.
func (d *dialled) regular(k int) bool {
	for i := 3; i < k; i++ {
		if d.groups[i].separator != d.groups[2].separator {
			return false
		}
	}
	if k < 3 {
		return true
	}
	first := d.groups[1].separator
	return first == ')' || first == '/' || first == d.groups[2].separator
}

// phone checks for a telephone number at i: a plus, an opening bracket or a digit.
func phone(v view, i int) (m match, verdict verdict) {
	before := v.before(i, 1)
	if i > v.floor && word[before] || before == '+' || preceded(v, i, "-./") || before == '-' && word[v.before(i, 2)] {
		return m, no
	}
	international := v.v[i] == '+'
	at := i
	if international {
		at++
	}
	if at >= len(v.v) {
		return m, v.ended()
	}
	if c := v.v[at]; !digits[c] && c != '(' {
		return m, no
	}
	var d dialled
	if verdict = d.read(v, at); verdict != yes {
		return m, verdict
	}
	bracket := v.v[at] == '('
	if bracket && (d.count < 2 || d.groups[1].separator != ')') {
		return m, no
	}
	if v.v[at] == '0' && i-2 >= v.floor && preceded(v, i, " ") {
		return m, no // inside of a longer number
	}
	for k := d.count; k >= 1; k-- {
		if !d.is(k, international, bracket) {
			continue
		}
		end := d.groups[k-1].end
		if k == d.count {
			switch verdict = d.stops(v, end); verdict {
			case more:
				return m, more
			case no:
				continue
			case yes:
			}
		} else if sep := d.groups[k].separator; !international && (sep == '-' || sep == '.') {
			continue
		}
		return match{start: i, end: end, detector: iPhone}, yes
	}
	return m, no
}

// stops says whether a number can end at a place; an extension may follow.
func (d *dialled) stops(v view, end int) verdict {
	if end < len(v.v) && v.v[end]|0x20 == 'x' {
		if end+1 >= len(v.v) {
			return v.ended()
		}
		if digits[v.v[end+1]] {
			return yes
		}
	}
	return v.boundary(end)
}

// maxGrouped is how many digits an international number in groups has at most.
// Fifteen would be allowed, and would often take in a number that follows.
const maxGrouped = 13

// is says whether the first k groups are a telephone number.
func (d *dialled) is(k int, international, bracket bool) bool {
	number := d.digits[:d.groups[k-1].to]
	switch {
	case international:
		return !bracket && global(number) && (k == 1 || len(number) <= maxGrouped)
	case number[0] == '0' && len(number) > 1 && number[1] == '0':
		return !bracket && k > 1 && d.regular(k) && d.length(0) <= 5 && global(number[2:]) && len(number) <= maxGrouped+2
	case number[0] == '0':
		if k == 3 && d.length(0) == 3 && d.length(1) == 2 && d.length(2) == 4 {
			return false // a social security number
		}
		return k > 1 && d.length(0) >= 2 && d.length(0) <= 5 && len(number) >= 9 && len(number) <= 12 && d.regular(k)
	}
	return d.american(k, bracket)
}

// global checks a number with its country code (ITU-T E.164): eight to fifteen
// digits, a code that is given out, ten digits after the code 1.
func global(number []byte) bool {
	if len(number) < 8 || len(number) > 15 || number[0] == '0' {
		return false
	}
	switch string(number[:2]) {
	case "28", "83", "89":
		return false
	}
	return number[0] != '1' || len(number) == 11 && area(number[1:])
}

// area says whether ten digits can be a number of the North American plan: area
// and exchange do not begin with 0 or 1.
func area(number []byte) bool { return number[0] >= '2' && number[3] >= '2' }

// american checks for three, three and four digits, with a 1 before them or
// without.
func (d *dialled) american(k int, bracket bool) bool {
	first := 0
	if k == 4 && d.length(0) == 1 && d.digits[0] == '1' {
		first = 1
	}
	if k != first+3 || d.length(first) != 3 || d.length(first+1) != 3 || d.length(first+2) != 4 || !area(d.digits[first:]) {
		return false
	}
	a, b := d.groups[first+1].separator, d.groups[first+2].separator
	if a == '/' || b == '/' || b == ')' {
		return false
	}
	return a == b || a == ')' && (bracket || first == 1)
}
