// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// ibanLengths are the lengths of account numbers by country (SWIFT IBAN
// Registry), each with whether all that follows the country is digits.
var ibanLengths = map[[2]byte]ibanForm{}

type ibanForm struct {
	length  int
	numeric bool
}

func init() {
	for _, form := range []struct {
		numeric   bool
		length    int
		countries string
	}{
		{true, 15, "NO"},
		{true, 16, "BE"},
		{true, 18, "DKFOGLFI"},
		{true, 19, "SI"},
		{true, 20, "ATBALTEEXK"},
		{true, 21, "HR"},
		{true, 22, "DEMERS"},
		{true, 23, "ILTL"},
		{true, 24, "CZESSESKTN"},
		{true, 25, "PT"},
		{true, 26, "IS"},
		{true, 27, "MR"},
		{true, 28, "HUPL"},
		{false, 18, "NL"},
		{false, 19, "MK"},
		{false, 20, "KZLU"},
		{false, 21, "CHLILV"},
		{false, 22, "BGGBGEIECRBH"},
		{false, 23, "AEGIIQOM"},
		{false, 24, "ADMDPKROSAVGDZ"},
		{false, 25, "LYST"},
		{false, 26, "TRSD"},
		{false, 27, "FRGRITMCSMBIDJ"},
		{false, 28, "ALAZBYCYDOGTLBNISV"},
		{false, 29, "BREGPSQAUA"},
		{false, 30, "JOKWMU"},
		{false, 31, "MTSC"},
		{false, 32, "LC"},
		{false, 33, "RU"},
	} {
		for i := 0; i < len(form.countries); i += 2 {
			ibanLengths[[2]byte{form.countries[i], form.countries[i+1]}] = ibanForm{form.length, form.numeric}
		}
	}
}

// iban checks for an international bank account number (ISO 13616): country,
// length and check digits modulo 97; in one piece or in groups of four with
// blanks or hyphens.
func iban(v view, i int) (m match, verdict verdict) {
	if i+3 >= len(v.v) {
		if v.final {
			return m, no
		}
		for j := i; j < len(v.v); j++ {
			if j < i+2 && !letter(v.v[j]) || j >= i+2 && !digits[v.v[j]] {
				return m, no
			}
		}
		return m, more
	}
	if !digits[v.v[i+2]] || !digits[v.v[i+3]] || !letter(v.v[i]) || !letter(v.v[i+1]) {
		return m, no
	}
	form, known := ibanLengths[[2]byte{v.v[i] &^ 0x20, v.v[i+1] &^ 0x20}]
	if !known {
		return m, no
	}
	var text [34]byte
	n, at, separator := 0, i, byte(0)
	for n < form.length {
		if at >= len(v.v) {
			return m, v.ended()
		}
		c := v.v[at]
		if n > 0 && n%4 == 0 && (c == ' ' || c == '-') && (n == 4 || c == separator) {
			separator = c
			at++
			if at >= len(v.v) {
				return m, v.ended()
			}
			c = v.v[at]
		} else if n > 4 && n%4 == 0 && separator != 0 {
			return m, no
		}
		if !letter(c) && !digits[c] || form.numeric && n > 1 && !digits[c] {
			return m, no
		}
		if letter(c) {
			c &^= 0x20
		}
		text[n] = c
		n++
		at++
	}
	if verdict = v.boundary(at); verdict != yes {
		return m, verdict
	}
	if mod97(text[4:n], text[:4]) != 1 {
		return m, no
	}
	return match{start: i, end: at, detector: iIBAN}, yes
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// mod97 reads letters as two digits, A as 10 (ISO 7064).
func mod97(parts ...[]byte) int {
	rest := 0
	for _, part := range parts {
		for _, c := range part {
			if digits[c] {
				rest = (rest*10 + int(c-'0')) % 97
			} else {
				rest = (rest*100 + int(c-'A') + 10) % 97
			}
		}
	}
	return rest
}
