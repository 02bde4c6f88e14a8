// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// action is what the scanner does at a byte.
type action byte

const (
	// skip: nothing begins here.
	skip action = iota
	// inWord: letters and digits, of which one may begin a finding at the
	// beginning of a word.
	inWord
	// atSign, percent, plus, dash, colon: what begins with, or has in it, that
	// byte. plus is for brackets too.
	atSign
	percent
	plus
	dash
	colon
)

// actions says what bytes matter to the detectors that are on.
func (s *Set) actions() (act [256]action) {
	if s.of == [count]int{} {
		return act
	}
	words := false
	for i := range count {
		words = words || i != iEmail && s.on(i)
	}
	for c := range word {
		if word[c] && words {
			act[c] = inWord
		}
	}
	if s.on(iEmail) {
		act['@'], act['%'] = atSign, percent
	}
	if s.on(iPhone) {
		act['+'], act['('] = plus, plus
	}
	if s.on(iPrivateKey) {
		act['-'] = dash
	}
	if s.on(iIPAddress) {
		act[':'] = colon
	}
	return act
}

// next finds the first finding from i on. With more, m.start is the place that
// cannot be decided yet; nothing begins before it but an e-mail address.
func (s *Set) next(v view, i int) (m match, verdict verdict) {
	text := v.v
	for i < len(text) {
		switch s.act[text[i]] {
		case skip:
			i++
			continue
		case inWord:
			if i > v.floor && i > 0 && word[text[i-1]] {
				// The rest of a word that began earlier.
				m.end = i + 1
				verdict = no
			} else {
				m, verdict = s.atWord(v, i)
			}
			if verdict == no {
				for i++; i < len(text) && word[text[i]]; i++ {
				}
				continue
			}
		case atSign:
			m, verdict = email(v, i, 1)
		case percent:
			if verdict = v.follows(i, "%40", false); verdict == yes {
				m, verdict = email(v, i, 3)
			}
		case plus:
			m, verdict = phone(v, i)
		case dash, colon:
			// Both come twice where something begins.
			switch {
			case i+1 < len(text) && text[i+1] != text[i]:
				verdict = no
			case text[i] == '-':
				m, verdict = pem(v, i)
			default:
				m, verdict = ipv6(v, i)
			}
		}
		if verdict == no {
			i++
			continue
		}
		if verdict == more {
			m.start = i
		}
		return m, verdict
	}
	return m, no
}

// atWord checks the beginning of a word.
func (s *Set) atWord(v view, i int) (m match, verdict verdict) {
	c := v.v[i]
	if i+sight < len(v.v) && !s.promising(v.v[i:i+sight+1]) {
		return m, no
	}
	if digits[c] {
		return s.atNumber(v, i)
	}
	if s.on(iPrivateKey) && c == 'P' {
		if m, verdict = putty(v, i); verdict != no {
			return m, verdict
		}
	}
	if s.on(iJWT) && c == 'e' {
		if m, verdict = jwt(v, i); verdict != no {
			return m, verdict
		}
	}
	if s.on(iCloudKey) && (len(tokens[c]) > 0 || len(keywords[c|0x20]) > 0) {
		if m, verdict = cloudKey(v, i); verdict != no {
			return m, verdict
		}
	}
	if s.on(iIBAN) {
		if m, verdict = iban(v, i); verdict != no {
			return m, verdict
		}
	}
	if s.on(iIPAddress) && hexDigits[c] {
		return ipv6(v, i)
	}
	return m, no
}

// sight is how many bytes beyond the first one promising looks at.
const sight = 4

// promising says whether the first bytes of a word may begin a finding. It only
// saves time: what it lets pass is looked at, what it refuses no check would take.
func (s *Set) promising(text []byte) bool {
	_ = text[sight]
	c := text[0]
	if s.on(iIPAddress) && hexDigits[c] && colonSoon(text) {
		return true
	}
	if digits[c] {
		switch {
		case !digits[text[1]]:
			return text[1] == '.' || c == '1' && s.on(iPhone)
		case !digits[text[2]]:
			return text[2] == '.' || c == '0'
		case !digits[text[3]]:
			return true
		}
		return s.on(iPaymentCard) && mayBeIssued(text) || c == '0' && s.on(iPhone)
	}
	if second := cloudSecond[c]; second != nil && second[text[1]] && s.on(iCloudKey) {
		return true
	}
	return c == 'e' && (text[1] == 'y' || text[1] == 'w') || c == 'P' && text[1] == 'u' || digits[text[2]] && digits[text[3]] && s.on(iIBAN)
}

// colonSoon says whether a colon follows one to four hexadecimal digits.
func colonSoon(text []byte) bool {
	for _, c := range text[1 : sight+1] {
		if c == ':' {
			return true
		}
		if !hexDigits[c] {
			return false
		}
	}
	return false
}

// atNumber checks a word that begins with a digit.
func (s *Set) atNumber(v view, i int) (m match, verdict verdict) {
	if s.on(iIPAddress) {
		if m, verdict = ipv6(v, i); verdict != no {
			return m, verdict
		}
	}
	try, verdict := s.worth(v, i)
	if verdict != yes {
		return m, verdict
	}
	var n number
	if try != 1<<iPhone {
		if verdict = n.read(v, i); verdict == more {
			return m, more
		}
	}
	if try&(1<<iIPAddress) != 0 {
		if m, verdict = n.ipv4(v); verdict != no {
			return m, verdict
		}
	}
	if try&(1<<iSSN) != 0 {
		if m, verdict = n.ssn(v); verdict != no {
			return m, verdict
		}
	}
	if try&(1<<iPaymentCard) != 0 {
		if m, verdict = n.card(v); verdict != no {
			return m, verdict
		}
	}
	if try&(1<<iPhone) != 0 {
		return phone(v, i)
	}
	return m, no
}

// worth says which detectors the digits at i, and what stands behind them, are
// worth to ask.
func (s *Set) worth(v view, i int) (try int, verdict verdict) {
	end, verdict := v.run(i, maxDigits+1, digits)
	if verdict == more {
		return 0, more
	}
	length, next := end-i, byte(0)
	if length > maxDigits {
		return 0, no
	}
	if end < len(v.v) {
		next = v.v[end]
	}
	separated := next == ' ' || next == '-' || next == '.' || next == '/'
	if s.on(iIPAddress) && length <= 3 && next == '.' {
		try |= 1 << iIPAddress
	}
	if s.on(iSSN) && length == 3 && (next == '-' || next == ' ') {
		try |= 1 << iSSN
	}
	if s.on(iPaymentCard) && (length >= 13 || (length == 4 || length == 6) && (separated || next == 0xC2)) && mayBeIssued(v.v[i:end]) {
		try |= 1 << iPaymentCard
	}
	if s.on(iPhone) && (separated || next == '(') && (length == 3 || length == 1 && v.v[i] == '1' || length <= 5 && v.v[i] == '0') {
		try |= 1 << iPhone
	}
	if try == 0 {
		return 0, no
	}
	return try, yes
}
