// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// issuer is a range of the first digits of card numbers and the lengths that
// they have (ISO/IEC 7812; the networks' published ranges).
type issuer struct {
	low, high, width int
	lengths          []int
}

var issuers = []issuer{
	{4, 4, 1, []int{13, 16, 19}},               // Visa
	{51, 55, 2, []int{16}},                     // Mastercard
	{2221, 2720, 4, []int{16}},                 // Mastercard
	{34, 34, 2, []int{15}},                     // American Express
	{37, 37, 2, []int{15}},                     // American Express
	{300, 305, 3, []int{14, 16}},               // Diners Club
	{3095, 3095, 4, []int{14, 16}},             // Diners Club
	{36, 36, 2, []int{14, 16}},                 // Diners Club
	{38, 39, 2, []int{14, 16}},                 // Diners Club
	{6011, 6011, 4, []int{16, 19}},             // Discover
	{644, 659, 3, []int{16, 19}},               // Discover, RuPay
	{3528, 3589, 4, []int{16, 17, 18, 19}},     // JCB
	{62, 62, 2, []int{16, 17, 18, 19}},         // UnionPay
	{81, 82, 2, []int{16}},                     // RuPay
	{508, 508, 3, []int{16}},                   // RuPay
	{2200, 2204, 4, []int{16, 17, 18, 19}},     // Mir
	{9792, 9792, 4, []int{16}},                 // Troy
	{5018, 5020, 4, []int{13, 15, 16, 19}},     // Maestro
	{5038, 5038, 4, []int{13, 15, 16, 19}},     // Maestro
	{5893, 5893, 4, []int{13, 15, 16, 19}},     // Maestro
	{6304, 6304, 4, []int{13, 15, 16, 19}},     // Maestro
	{6759, 6763, 4, []int{13, 15, 16, 18, 19}}, // Maestro
}

// card checks for a payment card number: the ranges of the issuers, their
// lengths, the check digit. Grouped, it begins with four or six digits.
func (n *number) card(v view) (m match, verdict verdict) {
	if preceded(v, n.start, ".-") || v.before(n.start, 1) == '+' {
		return m, no
	}
	for k := n.count; k >= 1; k-- {
		length := int(n.groups[k-1].to)
		if length < 13 {
			break
		}
		if length > 19 || !n.uniform(k) || !n.grouped(k) {
			continue
		}
		if n.goesOn(v, k, '.') || k > 1 && n.goesOn(v, k, n.groups[1].separator) && n.groups[1].separator != ' ' {
			continue
		}
		if !issued(n.digits[:length]) || !luhn(n.digits[:length]) {
			continue
		}
		if verdict = n.ends(v, k); verdict != no {
			return match{start: n.start, end: n.end(k - 1), detector: iPaymentCard}, verdict
		}
	}
	return m, no
}

// grouped says whether the first k groups have lengths that cards are written in.
func (n *number) grouped(k int) bool {
	if k == 1 {
		return true
	}
	if n.length(0) != 4 && n.length(0) != 6 {
		return false
	}
	for i := 1; i < k-1; i++ {
		if n.length(i) < 3 {
			return false
		}
	}
	return true
}

// issuedPrefix says of each four digits whether cards begin with them.
var issuedPrefix = func() (table [10000]bool) {
	for _, r := range issuers {
		low, high := r.low, r.high
		for range 4 - r.width {
			low, high = low*10, high*10+9
		}
		for p := low; p <= high; p++ {
			table[p] = true
		}
	}
	return table
}()

// mayBeIssued says whether a card can begin with the digits of a text.
func mayBeIssued(text []byte) bool {
	return issuedPrefix[int(text[0]-'0')*1000+int(text[1]-'0')*100+int(text[2]-'0')*10+int(text[3]-'0')]
}

func issued(number []byte) bool {
	prefix := 0
	for i, c := range number[:4] {
		prefix = prefix*10 + int(c-'0')
		for j := range issuers {
			r := &issuers[j]
			if r.width != i+1 || prefix < r.low || prefix > r.high {
				continue
			}
			for _, length := range r.lengths {
				if length == len(number) {
					return true
				}
			}
		}
	}
	return false
}

// luhn checks the check digit (ISO/IEC 7812-1 annex B).
func luhn(number []byte) bool {
	sum := 0
	for i := range number {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
